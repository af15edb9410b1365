/** @file A run of 20 steps whose every bit is known: the same on every machine and engine, in deterministic mode. */
import { createHash } from 'node:crypto';
import { Session } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { advance, corpus, remains, tinyPlan } from './tiny-run.ts';

/** SHA-256 of all that a run says (losses, norms, held-out figures) and leaves (weights, averages, optimiser, random numbers). */
export async function goldenRun(threads = 1): Promise<string> {
  const plan = tinyPlan({
    steps: 20,
    entropySteps: 6,
    localWidth: 16,
    globalWidth: 32,
    rowBytes: 64,
    hashVocab: 64,
    ema: 0.9,
    accumulation: 2,
    dropout: 0.1,
    hashDropout: 0.3,
    evalEvery: 5,
    patience: 0,
  });
  const session = new Session(plan, corpus, createWasmBackend({ deterministic: true, threads }));
  const hash = createHash('sha256');
  for (const event of await advance(session, Number.POSITIVE_INFINITY)) hash.update(event);
  const { json, arrays } = await remains(session);
  return hash.update(json).update(arrays).digest('hex');
}
