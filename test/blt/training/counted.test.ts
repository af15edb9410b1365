/** @file The loss mask: what does not count changes no loss and has no gradient; rows and figures are of what counts. */
import { crossEntropy, valueAndGrad } from '@blt-ts/autograd';
import { countedBytes, countedLoss, countedTargets, type PatchedDocument, patchRows } from '@blt-ts/blt';
import { createReferenceBackend, Random, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Tally } from '../../../packages/blt/src/training/evaluation.ts';

const backend = createReferenceBackend();
const CLASSES = 7;

/** Logits, targets, other targets where nothing counts, and the mask. */
const cases = fc.integer({ min: 1, max: 6 }).chain((n) =>
  fc.record({
    logits: fc.array(
      fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024),
      { minLength: n * CLASSES, maxLength: n * CLASSES },
    ),
    targets: fc.array(fc.integer({ min: 0, max: CLASSES - 1 }), { minLength: n, maxLength: n }),
    others: fc.array(fc.integer({ min: 0, max: CLASSES - 1 }), { minLength: n, maxLength: n }),
    counted: fc.array(fc.constantFrom(0, 1), { minLength: n, maxLength: n }),
  }),
);

function lossOf(logits: readonly number[], targets: readonly number[], counted: readonly number[]) {
  const row = { targets: Int32Array.from(targets), counted: Uint8Array.from(counted) };
  const { value, grads } = valueAndGrad(
    ({ x }: { x: ReturnType<typeof tensor> }) =>
      countedLoss(crossEntropy(x, tensor(row.targets, undefined, { backend })), [row]).loss,
  )({ x: tensor(Float32Array.from(logits), [targets.length, CLASSES], { backend }) });
  // Zero has two signs, which are equal.
  return { loss: value.readSync()[0] + 0, gradient: [...grads.x.readSync()].map((one) => one + 0) };
}

test('other targets where nothing counts change neither the loss nor the gradient', () => {
  fc.assert(
    fc.property(cases, ({ logits, targets, others, counted }) => {
      const changed = targets.map((target, i) => (counted[i] === 1 ? target : others[i]));
      expect(lossOf(logits, changed, counted)).toEqual(lossOf(logits, targets, counted));
    }),
    { numRuns: 40 },
  );
});

test('the gradient is counted_i * (softmax_i - onehot_i), the definition in float64', () => {
  fc.assert(
    fc.property(cases, ({ logits, targets, counted }) => {
      const { loss, gradient } = lossOf(logits, targets, counted);
      let expected = 0;
      targets.forEach((target, i) => {
        const row = logits.slice(i * CLASSES, (i + 1) * CLASSES);
        const Z = row.reduce((sum, z) => sum + Math.exp(z), 0);
        expected += counted[i] * (Math.log(Z) - row[target]);
        row.forEach((z, v) => {
          const exact = counted[i] * (Math.exp(z) / Z - (v === target ? 1 : 0));
          expect(Math.abs(gradient[i * CLASSES + v] - exact)).toBeLessThan(1e-6);
        });
      });
      expect(Math.abs(loss - expected)).toBeLessThan(1e-5 * (1 + expected));
    }),
    { numRuns: 40 },
  );
});

/** A document of ids 10, 11, ... in patches of 2, of which the ids from `from` on count. */
function document(length: number, from: number): PatchedDocument {
  const ids = Int32Array.from({ length }, (_, i) => 10 + i);
  const patchLengths = Int32Array.from({ length: Math.ceil(length / 2) }, (_, p) => Math.min(2, length - 2 * p));
  return { ids, patchLengths, counted: Uint8Array.from(ids, (_, i) => (i >= from ? 1 : 0)) };
}

test('rows know which of their targets count, each one once, and rows without any are left out', () => {
  for (const epoch of [0, 1]) {
    const rows = patchRows([document(40, 30), document(9, 9)], 4, null, new Random(3), epoch);
    const counted = rows.flatMap((row) => [...row.targets].filter((_, i) => row.counted![i] === 1));
    expect(counted.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => 40 + i));
    expect(Math.min(...rows.map(countedTargets))).toBeGreaterThan(0);
    expect(countedBytes(rows)).toBe(10);
  }
});

test('an evaluation is of the targets that count, and of each source by itself', () => {
  const tally = new Tally();
  const row = { ids: Int32Array.of(4, 5, 6), targets: Int32Array.of(5, 6, 7), patchLengths: Int32Array.of(1, 3) };
  const counted = Uint8Array.of(0, 1, 1);
  tally.add([100, 1, 2], [{ ...row, counted, scoredFrom: 0, source: 0 }]);
  tally.add([3, 4, 5], [{ ...row, scoredFrom: 1, source: 2 }]);
  const { nats, bytes, sources } = tally.evaluation();
  expect({ nats, bytes }).toEqual({ nats: 12, bytes: 4 });
  expect(sources!.map((one) => one && { nats: one.nats, bytes: one.bytes })).toEqual([
    { nats: 3, bytes: 2 },
    null,
    { nats: 9, bytes: 2 },
  ]);
});
