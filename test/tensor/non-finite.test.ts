/** @file NaN and Infinity pass through every kernel as IEEE 754 says. */
import { type Backend, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { backends } from '../support/backends.ts';
import { property } from '../support/property.ts';

const [reference, ...others] = backends;
const value = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38) },
);
/** Rows of every residue of the vector width, with something that is not finite here and there. */
const tables = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 19 })).chain(([rows, columns]) =>
  fc.record({
    rows: fc.constant(rows),
    columns: fc.constant(columns),
    x: fc.array(value, { minLength: rows * columns, maxLength: rows * columns }),
    target: fc.nat(columns - 1),
  }),
);

type Case = { rows: number; columns: number; x: number[]; target: number };
const kernels: Record<string, (c: Case, backend: Backend) => Tensor> = {
  softmax: ({ rows, columns, x }, backend) => run('softmax', [tensor(x, [rows, columns], { backend })], {})[0],
  logSoftmax: ({ rows, columns, x }, backend) => run('logSoftmax', [tensor(x, [rows, columns], { backend })], {})[0],
  crossEntropy: ({ rows, columns, x, target }, backend) =>
    run(
      'crossEntropy',
      [tensor(x, [rows, columns], { backend }), tensor(new Int32Array(rows).fill(target), undefined, { backend })],
      {},
    )[0],
  crossEntropyBackward: ({ rows, columns, x, target }, backend) =>
    run(
      'crossEntropyBackward',
      [
        tensor(x, [rows, columns], { backend }),
        tensor(new Int32Array(rows).fill(target), undefined, { backend }),
        tensor(new Float32Array(rows).fill(1), undefined, { backend }),
      ],
      {},
    )[0],
  rmsNorm: ({ rows, columns, x }, backend) =>
    run(
      'rmsNorm',
      [tensor(x, [rows, columns], { backend }), tensor(new Float32Array(columns).fill(1), undefined, { backend })],
      { eps: 1e-5 },
    )[0],
};

describe.each(Object.keys(kernels))('%s', (name) => {
  for (const { name: backendName, backend } of others) {
    property(
      `what is not a number by definition is none on ${backendName} either, and nothing else is`,
      tables,
      150,
      (c) => {
        scope(() => {
          const expected = kernels[name](c, reference.backend).readSync();
          const got = kernels[name](c, backend).readSync();
          for (let i = 0; i < expected.length; i++) {
            expect({ i, nan: Number.isNaN(got[i]) }).toEqual({ i, nan: Number.isNaN(expected[i]) });
          }
        });
      },
    );
  }
});
