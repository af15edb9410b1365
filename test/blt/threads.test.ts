import { leaves, RowSparse, sum, valueAndGrad } from '@blt-ts/autograd';
import { type BltParams, bltBatch, bltLosses, Decoder, gradientLeaves } from '@blt-ts/blt';
import { type Backend, createWasmBackend, scope } from '@blt-ts/tensor';
import fc from 'fast-check';
import { beforeAll, expect } from 'vitest';
import { property } from '../support/property.ts';
import { configs, cut, row, seeds, smallModel } from '../support/small-model.ts';

const alone = createWasmBackend({ wide: false });
// Every kernel is shared, however short.
const shared = createWasmBackend({ threads: 3, leastShared: 0, wide: true });

beforeAll(() => shared.threadsReady());

const cases = fc.record({
  config: configs,
  seed: seeds,
  rows: fc.array(row(2, 40), { minLength: 1, maxLength: 3 }),
  recompute: fc.boolean(),
  sparse: fc.boolean(),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

const bits = (x: ArrayLike<number>) => [...new Uint32Array(Float32Array.from(x).buffer)];

/** The loss and every gradient of a model, as bits. */
function gradients({ config, seed, rows, recompute, sparse }: Case, backend: Backend): Map<string, number[]> {
  return scope(() => {
    const model = smallModel(config, seed, backend);
    const targets = Int32Array.from(rows.flatMap((ids) => [...ids.subarray(1), 1]));
    const batch = bltBatch(cut(model, rows), config, { backend, recompute });
    const loss = (p: BltParams) => sum(bltLosses(p, batch, targets, config));
    const { value, grads } = valueAndGrad(loss, { sparse })(model.params);
    const found = new Map([['loss', bits(value.readSync())]]);
    for (const [name, g] of sparse ? gradientLeaves(grads) : leaves(grads)) {
      found.set(name, bits((g instanceof RowSparse ? g.toDense() : g).readSync()));
    }
    return found;
  });
}

property('the gradient of a model has the same bits on one thread and on three', cases, 60, (x) => {
  expect(gradients(x, shared)).toEqual(gradients(x, alone));
});

/** Logits of several texts side by side, first all but three bytes of each at once, then byte after byte; as bits. */
function decoded({ config, seed, rows }: Case, backend: Backend): number[][] {
  const decoder = new Decoder(smallModel(config, seed, backend), { sequences: rows.length });
  const most = Math.max(...rows.map((ids) => ids.length));
  const found: number[][] = [];
  for (let begin = 0; begin < most; begin = Math.max(begin + 1, most - 3)) {
    const end = Math.max(begin + 1, most - 3);
    found.push(...decoder.feed(rows.map((ids) => ids.subarray(begin, end))).map(bits));
  }
  decoder.release();
  return found;
}

property('decoding has the same bits on one thread and on three', cases, 40, (x) => {
  expect(decoded(x, shared)).toEqual(decoded(x, alone));
});
