/** @file Whole training runs that take a fraction of a second: plans, a corpus, and what a run leaves. */
import { type Corpus, encode, planRun, type RunOptions, type RunPlan, Session, type SessionEvent } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { STATE_ARRAYS, STATE_JSON } from '../../packages/cli/src/run/state-files.ts';
import { stateFiles, stateOf } from './state-files.ts';

const TINY: RunOptions = {
  localWidth: 8,
  localHeads: 2,
  encoderLayers: 1,
  decoderLayers: 1,
  globalWidth: 8,
  globalHeads: 2,
  globalLayers: 1,
  hashVocab: 16,
  hashSizes: [3, 4],
  entropyWidth: 8,
  entropyHeads: 2,
  entropyLayers: 1,
  entropySteps: 3,
  rowBytes: 24,
  batchRows: 2,
};

const WORDS =
  'It was the best of times, it was the worst of times, it was the age of wisdom; wir hatten alles vor uns. ';

/** Three documents to learn from, one held out. */
export const corpus: Corpus = {
  train: [WORDS, WORDS.slice(20, 90), WORDS.toUpperCase()].map((text) => encode(text, { bos: true, eos: true })),
  heldOut: [encode(WORDS.slice(5, 80), { bos: true, eos: true })],
};

export function tinyPlan(options: RunOptions = {}): RunPlan {
  const { globalWidth, globalHeads, globalLayers, ...rest } = TINY;
  // A Llama brings the sizes of the global transformer.
  const sizes = options.initGlobal ? rest : TINY;
  const plan = planRun({ ...sizes, ...options }, 280);
  // planRun's entropy batch is of 4096 bytes: far too much here.
  const entropyModel = plan.entropyModel && { ...plan.entropyModel, loop: { ...plan.entropyModel.loop, batchRows: 2 } };
  return { ...plan, entropyModel };
}

/** Does up to `count` pieces of work. @returns what happened, as JSON */
export async function advance(session: Session, count: number): Promise<string[]> {
  const events: string[] = [];
  while (events.length < count && session.phase !== 'done') {
    const event: SessionEvent = await session.next();
    // What is told on the way to a result is told again after a restart.
    if (event.kind !== 'progress' && event.kind !== 'milestone') events.push(JSON.stringify(event));
  }
  return events;
}

/** A new session that goes on where `session` is, having gone through the two files. */
export async function reborn(session: Session, backend: Backend, data: Corpus = corpus): Promise<Session> {
  const files = stateFiles(await session.state());
  const next = new Session(session.plan, data, backend);
  next.restore(stateOf(String(files[STATE_JSON]), files[STATE_ARRAYS] as Uint8Array));
  return next;
}

/** Everything that a session would save: JSON and the bytes of all arrays. */
export async function remains(session: Session): Promise<{ json: string; arrays: Uint8Array }> {
  const files = stateFiles(await session.state());
  return { json: String(files[STATE_JSON]), arrays: files[STATE_ARRAYS] as Uint8Array };
}
