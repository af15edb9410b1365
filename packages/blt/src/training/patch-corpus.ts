/** @file Cuts a corpus into patches: the entropy model scores it batch by batch, a threshold is calibrated, every document is cut. */

import type { Backend } from '@blt-ts/tensor';
import { release } from '@blt-ts/tensor';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { batchEntropies, checkEntropies, type ScoringRow, scoringBatches } from '../model/entropy-model.ts';
import type { EntropyModelParams } from '../model/parameters.ts';
import { patchLengths } from '../patching/boundaries.ts';
import { calibrateThreshold } from '../patching/calibrate.ts';
import { countBytes } from '../patching/vocabulary.ts';
import type { Progress } from './evaluation.ts';
import { concatInts, fitting, type PerDocument, type Precomputed, splitPatches } from './warm-start.ts';

const PARTS = ['train', 'heldOut'] as const;

/** The entropies of a corpus, filled batch by batch. What is there can be saved at any time, and scoring goes on from it. */
export class CorpusEntropies implements PerDocument<Float32Array> {
  readonly train: readonly Float32Array[];
  readonly heldOut: readonly Float32Array[];
  private readonly batches: { readonly into: readonly Float32Array[]; readonly rows: readonly ScoringRow[] }[];
  private next = 0;
  private scored = 0;
  private readonly total: number;

  constructor(corpus: PerDocument<Int32Array>, config: BltConfig) {
    const empty = (documents: readonly Int32Array[]) => documents.map((ids) => new Float32Array(ids.length));
    this.train = empty(corpus.train);
    this.heldOut = empty(corpus.heldOut);
    this.batches = PARTS.flatMap((part) =>
      [...scoringBatches(corpus[part], config.patcher!)].map((rows) => ({ into: this[part], rows })),
    );
    this.total = [...corpus.train, ...corpus.heldOut].reduce((n, ids) => n + ids.length, 0);
  }

  get progress(): Progress {
    return { done: this.scored, total: this.total };
  }

  /** Scores what is not scored yet, and tells after each batch how far it has come. */
  async *score(patcher: EntropyModelParams, config: BltConfig, backend: Backend): AsyncGenerator<Progress, void> {
    while (this.next < this.batches.length) {
      const { rows } = this.batches[this.next];
      const entropies = batchEntropies(patcher, rows, config.patcher!, { ...layoutOptions(config), backend });
      try {
        const values = (await entropies.read()) as Float32Array;
        checkEntropies(values);
        this.fill(values);
      } finally {
        release(entropies);
      }
      yield this.progress;
    }
  }

  /** The values of the next batch, in the order of its rows. */
  private fill(values: Float32Array): void {
    const { into, rows } = this.batches[this.next++];
    let from = 0;
    for (const { ids, document, at } of rows) {
      into[document].set(values.subarray(from, from + ids.length), at);
      from += ids.length;
    }
    this.scored += from;
  }

  /** The values of all batches that are done, end to end. */
  state(): Float32Array {
    const values = new Float32Array(this.scored);
    let at = 0;
    for (const { into, rows } of this.batches.slice(0, this.next)) {
      for (const { ids, document, at: from } of rows) {
        values.set(into[document].subarray(from, from + ids.length), at);
        at += ids.length;
      }
    }
    return values;
  }

  /** Goes on from saved values. @throws Error if they do not end with a batch of this corpus */
  restore(values: Float32Array): void {
    let at = 0;
    while (at < values.length && this.next < this.batches.length) {
      const size = this.batches[this.next].rows.reduce((n, { ids }) => n + ids.length, 0);
      if (at + size > values.length) break;
      this.fill(values.subarray(at, at + size));
      at += size;
    }
    if (at !== values.length) {
      throw new Error(`training state: entropies has ${values.length} values, which is no number of whole batches`);
    }
  }
}

/** Patch lengths of every document. */
export interface PatchedCorpus extends PerDocument<Int32Array> {
  /** With the calibrated threshold. */
  readonly config: BltConfig;
}

/** True if the corpus cannot be cut without the entropies of its bytes. */
export function needsEntropies(config: BltConfig, targetPatchBytes: number | null, precomputed: Precomputed): boolean {
  if (config.patching.mode !== 'entropy' || precomputed.entropies) return false;
  return targetPatchBytes !== null || !precomputed.patches;
}

/**
 * Patch lengths of every document, cut as the configuration says. With a target, the threshold is first calibrated on the training
 * part.
 * @param entropies nats, one for each id of each document; null where patches are cut without them
 */
export function patchCorpus(
  corpus: PerDocument<Int32Array>,
  config: BltConfig,
  targetPatchBytes: number | null,
  entropies: PerDocument<Float32Array> | null,
  precomputed: Precomputed = {},
): PatchedCorpus {
  const { patching } = config;
  if (patching.mode === 'entropy' && targetPatchBytes !== null) {
    const { threshold } = calibrateThreshold(entropies!.train, targetPatchBytes, {
      monotonic: patching.monotonic ?? false,
      thresholdAdd: patching.thresholdAdd ?? null,
      bytes: countBytes(corpus.train),
    });
    config = { ...config, patching: { ...patching, threshold } };
  }
  const cut = (part: (typeof PARTS)[number]): Int32Array[] => {
    const documents = corpus[part];
    if (precomputed.patches && targetPatchBytes === null) {
      return splitPatches(concatInts(precomputed.patches[part]), documents, `the given patches (${part})`);
    }
    const scores = entropies ? fitting(entropies[part], documents, `the given entropies (${part})`) : null;
    return documents.map((ids, i) =>
      patchLengths(ids, scores?.[i] ?? null, config.patching, { includeNextToken: false }),
    );
  };
  return { config, train: cut('train'), heldOut: cut('heldOut') };
}
