/** @file Random programs: operations on earlier results, some used more than once and some never. */
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import type { Arr } from './op-row.ts';
import { floats } from './op-values.ts';

/** One step: operation `op` on two earlier results, counted round. */
export interface ProgramStep {
  readonly op: number;
  readonly a: number;
  readonly b: number;
}

/** A program over two inputs x and y of shape [2,3]. Every result has that shape too. */
export interface Program {
  readonly steps: readonly ProgramStep[];
  readonly x: Arr;
  readonly y: Arr;
}

const half = (x: Tensor, row: number) => ag.slice(x, [row, 0], [row + 1, 3]);

/** Operations of programs. None grows: values stay in the range where difference quotients are exact. */
const programOps: readonly ((a: Tensor, b: Tensor) => Tensor)[] = [
  ag.add,
  ag.sub,
  (a, b) => ag.tanh(ag.mul(a, b)),
  (a) => ag.sin(a),
  (a) => ag.sigmoid(a),
  (a) => ag.softmax(a),
  (a, b) => ag.swiGlu(a, ag.tanh(b)),
  (a, b) => ag.concat([half(a, 1), half(b, 0)]),
  (a, b) => ag.tanh(ag.matmul(ag.matmul(a, b, { transposeB: true }), a)),
  (a) => ag.reshape(ag.transpose(a), [2, 3]),
  (a, b) => ag.add(ag.sum(a, { axes: 0, keepDims: true }), ag.affine(b, 0.5, 0.25)),
  (a) => ag.reshape(ag.reshape(a, [6]), [2, 3]),
];

/** Programs of 1 to `longest` steps. */
export const programs = (longest = 12): fc.Arbitrary<Program> =>
  fc.record({
    steps: fc.array(fc.record({ op: fc.nat({ max: programOps.length - 1 }), a: fc.nat(), b: fc.nat() }), {
      minLength: 1,
      maxLength: longest,
    }),
    x: floats([2, 3]),
    y: floats([2, 3]),
  });

/** Runs a program: the inputs, then the result of each step. The last one is the result of the program. */
export function interpret({ steps }: Program, inputs: readonly Tensor[]): Tensor[] {
  const made = [...inputs];
  for (const { op, a, b } of steps) made.push(programOps[op](made[a % made.length], made[b % made.length]));
  return made;
}
