/** @file The plan of a run: every value resolved, so that the run can be repeated. `planRun` makes one from a few options. */

import type { BltConfig } from '../model/config.ts';
import type { LoopOptions } from './loop-options.ts';
import type { PerDocument, WeightSource } from './warm-start.ts';

/** Documents as ids: BOS, bytes, EOS. */
export interface Corpus {
  readonly train: readonly Int32Array[];
  readonly heldOut: readonly Int32Array[];
}

/** A corpus, and what is known about its documents beside their ids. */
export interface MarkedCorpus extends Corpus {
  /** The number of each document's source, for a plan with a mixture and for figures of each source. */
  readonly sources?: PerDocument<number>;
  /** The held-out documents are numbered by sources of their own, so the weights of a mixture say nothing about them. */
  readonly heldOutApart?: boolean;
  /** Which ids of each document count as targets, see `TrainingRow.counted`; null: all. The entropy model learns from all of them. */
  readonly counted?: PerDocument<Uint8Array | null>;
}

/** Everything a run needs to be repeated. */
export interface RunPlan {
  readonly config: BltConfig;
  /** Mean bytes per patch the threshold is calibrated to (entropy patching); null: use the configured threshold. */
  readonly targetPatchBytes: number | null;
  /** See `bltPlan`. */
  readonly hashInit: number;
  /** See `bltPlan`. Plans of version 0.1 do not have it: 1. */
  readonly outputInit?: number;
  /** Run blocks again in the backward pass instead of keeping their activations. */
  readonly recompute: boolean;
  /** Weight of each source: rows of source s are mixture[s] / sum(mixture) of all, see `MixtureLoader`. Null: all documents as one. */
  readonly mixture?: readonly number[] | null;
  /** From the second pass on, n-grams are hidden from the rows that the hash tables know them from, see `LeaveOneOut`. */
  readonly leaveOneOut?: boolean;
  /** How much they are hidden, see `longestShown`. Plans without it have 1. */
  readonly hidingRate?: number;
  /** How the entropy model is trained; null: there is none, or it is one made before. */
  readonly entropyModel: { readonly loop: LoopOptions; readonly rowBytes: number } | null;
  /** The entropy model made before. */
  readonly entropyOrigin?: WeightSource | null;
  /** The model that all weights but those of the entropy model are copied from. */
  readonly modelOrigin?: WeightSource | null;
  /** Byte-ifying: the Llama that the global transformer's blocks are copied from. */
  readonly globalOrigin?: WeightSource | null;
  readonly model: { readonly loop: LoopOptions; readonly patchesPerRow: number; readonly maxRowBytes: number | null };
  /** Steps between evaluations on held-out bytes. */
  readonly evalEvery: number;
  /** Held-out bytes of those evaluations; the last one takes all. */
  readonly evalBytes: number;
  /** Stop after this many evaluations in a row without a new best. */
  readonly patience: number;
  readonly seed: number;
}
