/** @file Matrix products with a shared matrix. */
import * as ag from '@blt-ts/autograd';
import { at, floats, holds, plain, product, range } from '@blt-ts/autograd/testing';
import { scope, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../../support/backends.ts';
import { property } from '../../support/property.ts';

const { backend } = reference64;

describe('matmul', () => {
  const size = fc.nat({ max: 3 });
  const shared = fc.record({
    lead: fc.array(size, { minLength: 1, maxLength: 2 }),
    M: size,
    K: size,
    N: size,
    tA: fc.boolean(),
    tB: fc.boolean(),
  });
  property(
    'a matrix b is shared by every matrix of a',
    shared.chain(({ lead, M, K, N, tA, tB }) =>
      fc.record({
        a: floats([...lead, ...(tA ? [K, M] : [M, K])]),
        b: floats(tB ? [N, K] : [K, N]),
        sizes: fc.constant({ lead, M, K, N, tA, tB }),
      }),
    ),
    25,
    ({ a, b, sizes: { lead, M, K, N, tA, tB } }) => {
      const matrices = range(product(lead)).map((l) => ({
        ...a,
        shape: a.shape.slice(-2),
        values: a.values.slice(l * M * K, (l + 1) * M * K),
      }));
      const values = matrices.flatMap((m) =>
        range(M).flatMap((i) =>
          range(N).map((j) =>
            plain(range(K).map((k) => (tA ? at(m, k, i) : at(m, i, k)) * (tB ? at(b, j, k) : at(b, k, j)))),
          ),
        ),
      );
      holds((x, y) => ag.matmul(x, y, { transposeA: tA, transposeB: tB }), [a, b], [...lead, M, N], values);
    },
  );
  test('linear multiplies by the transposed weight', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4], [2, 2], { backend });
      const weight = tensor([1, 0, 0, 1, 1, 1], [3, 2], { backend });
      expect([...ag.linear(x, weight).readSync()]).toEqual([1, 2, 3, 3, 4, 7]);
    });
  });
});
