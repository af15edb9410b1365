/** @file The four sizes of a run, and the options that replace a size's numbers. */

import type { Behaviour, BltConfig, TransformerConfig } from '../model/config.ts';
import type { SpikeOptions } from './loop-options.ts';
import type { WeightSource } from './warm-start.ts';

/** The one dial of a run. */
export type Size = 'nano' | 'tiny' | 'small' | 'base';
/** All sizes, from the smallest. */
export const SIZES: readonly Size[] = ['nano', 'tiny', 'small', 'base'];

/** The numbers of one size, named as in `RunOptions`. Widths are in floats, rows in bytes. */
export interface Preset {
  readonly localWidth: number;
  readonly localHeads: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly globalWidth: number;
  readonly globalHeads: number;
  readonly globalLayers: number;
  readonly k: number;
  readonly hashVocab: number;
  readonly entropyWidth: number;
  readonly entropyHeads: number;
  readonly entropyLayers: number;
  readonly rowBytes: number;
  readonly batchRows: number;
  /** Of `rowBytes` bytes each. */
  readonly passRows: number;
  readonly lr: number;
  /** Bytes the entropy model and the model see at most: about two passes over a small corpus, less than one over a large one. */
  readonly entropyBytes: number;
  readonly modelBytes: number;
}

/** The numbers of each size. */
export const PRESETS: Readonly<Record<Size, Preset>> = {
  // biome-ignore format: a table reads best aligned
  nano:  { localWidth: 64,  localHeads: 2, encoderLayers: 1, decoderLayers: 2, globalWidth: 128, globalHeads: 4, globalLayers: 3, k: 2, hashVocab: 32768,
           entropyWidth: 64, entropyHeads: 2, entropyLayers: 1, rowBytes: 512, batchRows: 4, passRows: 2, lr: 6e-3, entropyBytes: 500_000, modelBytes: 2_400_000 },
  // biome-ignore format: a table reads best aligned
  tiny:  { localWidth: 96,  localHeads: 3, encoderLayers: 1, decoderLayers: 2, globalWidth: 192, globalHeads: 3, globalLayers: 4, k: 2, hashVocab: 32768,
           entropyWidth: 64, entropyHeads: 2, entropyLayers: 2, rowBytes: 512, batchRows: 4, passRows: 2, lr: 4.5e-3, entropyBytes: 1_000_000, modelBytes: 3_000_000 },
  // biome-ignore format: a table reads best aligned
  small: { localWidth: 128, localHeads: 4, encoderLayers: 1, decoderLayers: 3, globalWidth: 256, globalHeads: 4, globalLayers: 4, k: 2, hashVocab: 32768,
           entropyWidth: 96, entropyHeads: 3, entropyLayers: 2, rowBytes: 512, batchRows: 4, passRows: 2, lr: 3e-3, entropyBytes: 1_000_000, modelBytes: 3_000_000 },
  // biome-ignore format: a table reads best aligned
  base:  { localWidth: 256, localHeads: 8, encoderLayers: 1, decoderLayers: 4, globalWidth: 512, globalHeads: 8, globalLayers: 8, k: 2, hashVocab: 16384,
           entropyWidth: 128, entropyHeads: 4, entropyLayers: 3, rowBytes: 1024, batchRows: 8, passRows: 2, lr: 1e-3, entropyBytes: 4_000_000, modelBytes: 30_000_000 },
};

/** Everything a user may set. What is left out follows from `size` and from the number of bytes. */
export interface RunOptions {
  readonly size?: Size;
  readonly seed?: number;
  readonly localWidth?: number;
  readonly localHeads?: number;
  readonly encoderLayers?: number;
  readonly decoderLayers?: number;
  readonly globalWidth?: number;
  readonly globalHeads?: number;
  readonly globalLayers?: number;
  readonly k?: number;
  readonly hashSizes?: readonly number[];
  readonly hashFunctions?: number;
  readonly hashVocab?: number;
  /** Bytes local attention sees. */
  readonly window?: number;
  /**
   * Attention masks of one of the public implementations (default: `facebook`). `huggingface` trains what transformers computes, without
   * window and document bounds. Its entropy model starts afresh after every `rowBytes` bytes, which is all it learns to see.
   */
  readonly behaviour?: Behaviour;
  readonly entropyWidth?: number;
  readonly entropyHeads?: number;
  readonly entropyLayers?: number;
  readonly entropySteps?: number;
  readonly patchingMode?: 'entropy' | 'space' | 'static' | 'byte';
  /** Mean bytes per patch (entropy), or bytes per patch (static). */
  readonly patchSize?: number;
  /** Nats; instead of patchSize. */
  readonly threshold?: number;
  readonly monotonic?: boolean;
  readonly thresholdAdd?: number;
  readonly maxPatchLength?: number;
  readonly steps?: number;
  readonly batchRows?: number;
  /** Rows of a forward and backward pass, which one core computes: see `LoopOptions.passRows`. From batchRows on: no cut. */
  readonly passRows?: number;
  readonly rowBytes?: number;
  readonly patchesPerRow?: number;
  readonly lr?: number;
  readonly warmupSteps?: number;
  readonly minRatio?: number;
  /** Fall of the learning rate (default `cosine`). A run of `wsd` can be made longer at no loss, see `Session.extend`. */
  readonly schedule?: 'cosine' | 'wsd';
  /** wsd only: share of the steps, at the end, in which the rate falls in a line (0.2). */
  readonly decayFraction?: number;
  readonly weightDecay?: number;
  /** AdamW's memory of squared gradients, in the model. */
  readonly beta2?: number;
  /** Learning rate of the hash tables as a multiple of `lr`. */
  readonly hashLrScale?: number;
  /** Peak learning rate of Muon, which updates the matrices in the local models' layers; 0: AdamW updates them too. */
  readonly muonLr?: number;
  /** 0 = none */
  readonly gradClip?: number;
  readonly accumulation?: number;
  /** Dropout of the residual stream; the other element rates follow from it. */
  readonly dropout?: number;
  readonly hashDropout?: number;
  /** From the second pass on, hide rare n-grams, see `RunPlan.hidingRate`. Dropout of hash rows is then 0 unless it is given. */
  readonly leaveOneOut?: boolean;
  /** Less memory for about a third more time: for long rows. */
  readonly recompute?: boolean;
  /** Weights of the corpus's sources, see `RunPlan.mixture`. */
  readonly mixture?: readonly number[];
  /** Initial std of the hash tables as a share of the paper's. */
  readonly hashInit?: number;
  /** Initial std of the matrices that write to the residual stream, as a share of the paper's. */
  readonly outputInit?: number;
  /** 0 = none */
  readonly ema?: number;
  readonly evalEvery?: number;
  /** 0 = never stop early */
  readonly patience?: number;
  readonly spike?: SpikeOptions | null;
  /** An entropy model made before, used as it is. */
  readonly entropyModel?: WeightSource & { readonly config: TransformerConfig };
  /** A model trained before: its sizes and its weights. What the run may still choose is the patches and the training. */
  readonly from?: WeightSource & { readonly config: BltConfig };
  /** A Llama whose blocks the global transformer starts with, and the share of the learning rate they are trained at (0.1). */
  readonly initGlobal?: WeightSource & { readonly config: TransformerConfig; readonly lrScale?: number };
}
