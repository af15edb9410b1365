/** @file The state of a run between two events: JSON and named arrays, from which it goes on bit for bit. */
import { leaves as namedLeaves } from '@blt-ts/autograd';
import type { BltConfig } from '../model/config.ts';
import type { EntropyModelParams } from '../model/parameters.ts';
import type { BestState } from './best-so-far.ts';
import { hostArray, type LazyArray, type LoopState, lazyArray } from './loop-state.ts';
import { CorpusEntropies } from './patch-corpus.ts';
import type { Corpus } from './run-plan.ts';
import type { Phase } from './session-events.ts';
import type { TrainingLoop } from './training-loop.ts';
import { concatInts, type PerDocument, splitPatches } from './warm-start.ts';

/** Everything a session needs to go on. */
export interface SessionState {
  readonly json: BestState & {
    readonly phase: Phase;
    readonly threshold: number | null;
    readonly loop: Omit<LoopState, 'arrays'> | null;
  };
  readonly arrays: LoopState['arrays'];
}

/** A session's state whose arrays have not been copied. */
export interface LazySessionState extends Omit<SessionState, 'arrays'> {
  readonly arrays: ReadonlyMap<string, LazyArray>;
}

/** The parts of a session that its state is made of; null for those that the phase does not have. */
export interface SavedParts {
  readonly phase: Phase;
  readonly threshold: number | null;
  readonly best: BestState;
  // biome-ignore lint/suspicious/noExplicitAny: its state does not depend on what it trains
  readonly loop: TrainingLoop<any, any> | null;
  /** Once it is trained; while it is, the loop holds it. */
  readonly patcher: EntropyModelParams | null;
  readonly entropies: CorpusEntropies | null;
  /** Patch lengths of every document. */
  readonly patches: PerDocument<Int32Array> | null;
}

/** The state of these parts. Its arrays are read when they are saved: good until the next step. */
export function lazySessionState({ phase, threshold, best, loop, ...parts }: SavedParts): LazySessionState {
  const arrays = new Map<string, LazyArray>();
  let loopJson: Omit<LoopState, 'arrays'> | null = null;
  if (loop) {
    const { arrays: own, ...rest } = loop.lazyState();
    for (const [name, array] of own) arrays.set(`loop.${name}`, array);
    loopJson = rest;
  }
  if (parts.patcher) for (const [name, t] of namedLeaves(parts.patcher)) arrays.set(`patcher.${name}`, lazyArray(t));
  if (parts.entropies) {
    const entropies = parts.entropies.state();
    arrays.set('entropies', hostArray(entropies));
  }
  if (parts.patches) {
    arrays.set('patches.train', hostArray(concatInts(parts.patches.train)));
    arrays.set('patches.heldOut', hostArray(concatInts(parts.patches.heldOut)));
  }
  const { best: found, stale, evaluatedAt } = best;
  return { json: { phase, threshold, best: found, stale, evaluatedAt, loop: loopJson }, arrays };
}

/** The arrays of the loop in progress, by the names the loop knows. */
export const loopArrays = ({ arrays }: SessionState): LoopState['arrays'] =>
  new Map([...arrays].flatMap(([name, values]) => (name.startsWith('loop.') ? [[name.slice(5), values]] : [])));

/** Gives a trained entropy model its saved weights. @throws Error naming the first that is missing or of another size */
export function restorePatcher(patcher: EntropyModelParams, { arrays }: SessionState): void {
  for (const [name, t] of namedLeaves(patcher)) {
    const values = arrays.get(`patcher.${name}`);
    if (!values || values.length !== t.size) throw new Error(`training state: patcher.${name} needs ${t.size} values`);
    t.assign(values);
  }
}

/** The entropies of a corpus as far as they were saved; null if none were. */
export function restoredEntropies({ arrays }: SessionState, corpus: Corpus, config: BltConfig): CorpusEntropies | null {
  const saved = arrays.get('entropies');
  if (!(saved instanceof Float32Array)) return null;
  const entropies = new CorpusEntropies(corpus, config);
  entropies.restore(saved);
  return entropies;
}

/** The saved patch lengths of every document. @throws Error naming the part that is missing or does not fit the corpus */
export function restoredPatches({ arrays }: SessionState, corpus: Corpus): PerDocument<Int32Array> {
  const part = (name: string, documents: readonly Int32Array[]) =>
    splitPatches(arrays.get(name), documents, `training state: ${name}`);
  return { train: part('patches.train', corpus.train), heldOut: part('patches.heldOut', corpus.heldOut) };
}
