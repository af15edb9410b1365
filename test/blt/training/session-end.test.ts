/** @file The end of a session: the tensors that are kept and those that are freed. */
import { leaves } from '@blt-ts/autograd';
import { type Checkpoint, Session } from '@blt-ts/blt';
import { createWasmBackend, forEachTensor, release } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { advance, corpus, tinyPlan } from '../../support/tiny-run.ts';

/** All weights of a checkpoint, copied. */
const valuesOf = ({ params, patcher }: Checkpoint) =>
  [...leaves(params), ...leaves(patcher ?? {})].map(([name, t]) => ({ name, values: [...t.readSync()] }));

test.each([0, 0.9])('disposeButModel hands out the model as it is and frees everything else; ema %d', async (ema) => {
  const ended = async () => {
    const backend = createWasmBackend();
    const session = new Session(tinyPlan({ steps: 6, ema, hashVocab: 500 }), corpus, backend);
    await advance(session, Number.POSITIVE_INFINITY);
    return { backend, session };
  };
  const [one, other] = [await ended(), await ended()];
  const expected = valuesOf(one.session.checkpoint());
  const kept = one.session.disposeButModel();
  expect(valuesOf(kept)).toEqual(expected);
  expect((await one.session.evaluateFully(kept.params)).bitsPerByte).toBeGreaterThan(0);
  forEachTensor(kept, release);
  await other.session.evaluateFully(other.session.checkpoint().params);
  other.session.dispose();
  expect(one.backend.bytesInUse).toBe(other.backend.bytesInUse);
});
