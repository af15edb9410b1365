/** @file Rotary position embedding. */
import * as ag from '@blt-ts/autograd';
import { range } from '@blt-ts/autograd/testing';
import { scope, tensor } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { reference64 } from '../../support/backends.ts';

const { backend } = reference64;

const numbers = (n: number, shape: number[]) =>
  tensor(
    range(n).map((i) => Math.sin(7 * i)),
    shape,
    { backend },
  );

test('rope turns forward', () => {
  scope(() => {
    const x = numbers(8, [2, 4]);
    const table = { cos: numbers(4, [2, 2]), sin: numbers(4, [2, 2]) };
    const positions = tensor(Int32Array.of(0, 1), [2], { backend });
    const [turned, forward, back] = [[], [false], [true]].map((inverse) => [
      ...ag.rope(x, table, positions, 4, ...(inverse as [boolean])).readSync(),
    ]);
    expect(turned).toEqual(forward);
    expect(turned).not.toEqual(back);
  });
});
