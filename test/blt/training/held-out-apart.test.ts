/** @file The weights of a mixture are those of its sources, and not of held-out text that was given beside them. */
import { type MarkedCorpus, Session } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { corpus, tinyPlan } from '../../support/tiny-run.ts';

const backend = createWasmBackend();

/** The first quick evaluation. */
async function firstEvaluation(of: MarkedCorpus) {
  const plan = { ...tinyPlan({ steps: 1, evalEvery: 1 }), mixture: [1, 9] };
  const session = new Session(plan, of, backend);
  try {
    for (;;) {
      const event = await session.next();
      if (event.kind === 'evaluation') return event.evaluation;
    }
  } finally {
    session.dispose();
  }
}

test('held-out text of the sources counts by their shares, given held-out text by its bytes', async () => {
  const [document] = corpus.train;
  const half = Math.floor(corpus.heldOut[0].length / 3);
  const heldOut = [corpus.heldOut[0].subarray(0, half), corpus.heldOut[0].subarray(half)];
  const marked = { train: [document, document], heldOut, sources: { train: [0, 1], heldOut: [0, 1] } };
  const [shared, apart] = [await firstEvaluation(marked), await firstEvaluation({ ...marked, heldOutApart: true })];
  const [a, b] = apart.sources!.map((one) => one!);
  expect(apart.bitsPerByte).toBeCloseTo((a.bitsPerByte * a.bytes + b.bitsPerByte * b.bytes) / (a.bytes + b.bytes), 10);
  expect(shared.bitsPerByte).toBeCloseTo((a.bitsPerByte + 9 * b.bitsPerByte) / 10, 10);
  expect(Math.abs(shared.bitsPerByte - apart.bitsPerByte)).toBeGreaterThan(1e-4);
});
