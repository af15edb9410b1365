/** @file A run of 20 steps whose every bit is known: the same on every machine and engine, in deterministic mode. */
import { createHash } from 'node:crypto';
import { Session } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { advance, corpus, remains, tinyPlan } from './tiny-run.ts';

/**
 * SHA-256 of all that two runs say (losses, norms, held-out figures) and leave (weights, averages, optimiser, random numbers), one with
 * averaged weights, one with rows of tables that lag behind. With several threads every kernel is shared, however short.
 */
export async function goldenRun(threads = 1): Promise<string> {
  const hash = createHash('sha256');
  const backend = createWasmBackend({ deterministic: true, threads, ...(threads > 1 && { leastShared: 0 }) });
  await backend.threadsReady();
  for (const ema of [0.9, 0]) {
    const plan = tinyPlan({
      steps: 20,
      entropySteps: 6,
      localWidth: 16,
      globalWidth: 32,
      rowBytes: 64,
      hashVocab: 500,
      ema,
      accumulation: 2,
      // The recipe of version 0.1. What --size chooses may change.
      lr: 4e-3,
      beta2: 0.95,
      hashLrScale: 1,
      muonLr: 0,
      outputInit: 1,
      window: 512,
      dropout: 0.1,
      hashDropout: 0.3,
      evalEvery: 5,
      patience: 0,
    });
    const session = new Session(plan, corpus, backend);
    for (const event of await advance(session, Number.POSITIVE_INFINITY)) hash.update(event);
    const { json, arrays } = await remains(session);
    hash.update(json).update(arrays);
  }
  return hash.digest('hex');
}
