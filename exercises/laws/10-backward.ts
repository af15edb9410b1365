/** @file The laws of exercise 10. */
import { law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import type { Node } from '../holes/10-backward.ts';
import { expectNear } from './draw.ts';

const slope = fc.integer({ min: -3, max: 3 });
/** Node i reads up to three of the nodes before it, and may read one twice. */
const tapes = fc
  .array(fc.array(fc.tuple(fc.nat(), slope), { maxLength: 3 }), { minLength: 1, maxLength: 7 })
  .map((nodes) =>
    nodes.map((reads, i): Node => {
      const own = i === 0 ? [] : reads;
      return { parents: own.map(([at]) => at % i), slopes: own.map(([, s]) => s) };
    }),
  );

/** The sum over all paths of the products of their slopes, which is the definition. */
const pathsFrom = (tape: readonly Node[], from: number, to: number): number =>
  from === to ? 1 : tape[from].parents.reduce((sum, p, j) => sum + tape[from].slopes[j] * pathsFrom(tape, p, to), 0);

export const exercise: Exercise<typeof import('../holes/10-backward.ts')> = {
  laws: ({ backward }) => [
    law('a gradient is the sum over all paths of the products of their slopes', tapes, 300, (tape) => {
      const wanted = tape.map((_, i) => pathsFrom(tape, tape.length - 1, i));
      expectNear(backward(tape), wanted, 'the gradient');
    }),
  ],
  hints: [
    'The last number has gradient 1. All others begin with 0.',
    'Go from the last to the first, and ADD slope times gradient to each parent.',
  ],
};
