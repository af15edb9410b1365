/** @file One dial, `size`, from which every other number of a run follows; each may also be given by itself. */

import { COPIED_BLOCKS, COPIED_LR_SCALE } from '../checkpoints/from-llama.ts';
import { ConfigError } from '../errors.ts';
import {
  type Behaviour,
  type BltConfig,
  type TransformerConfig,
  transformerConfig,
  validateConfig,
} from '../model/config.ts';
import type { DropoutRates } from '../model/dropout.ts';
import type { PatchingOptions } from '../patching/boundaries.ts';
import { VOCAB_SIZE } from '../patching/vocabulary.ts';
import { ADAMW_DEFAULTS } from './adamw.ts';
import type { RunPlan } from './session.ts';
import type { SpikeOptions } from './training-loop.ts';
import type { Origin } from './warm-start.ts';

export type Size = 'nano' | 'tiny' | 'small' | 'base';
export const SIZES: readonly Size[] = ['nano', 'tiny', 'small', 'base'];

interface Preset {
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
  readonly lr: number;
  /** Bytes the entropy model and the model see by default: a few passes over a small corpus, less than one over a large one. */
  readonly entropyBytes: number;
  readonly modelBytes: number;
}

const PRESETS: Readonly<Record<Size, Preset>> = {
  // biome-ignore format: a table reads best aligned
  nano:  { localWidth: 64,  localHeads: 2, encoderLayers: 1, decoderLayers: 2, globalWidth: 128, globalHeads: 4, globalLayers: 3, k: 2, hashVocab: 8192,
           entropyWidth: 64, entropyHeads: 2, entropyLayers: 1, rowBytes: 512, batchRows: 4, lr: 4e-3, entropyBytes: 500_000, modelBytes: 1_200_000 },
  // biome-ignore format: a table reads best aligned
  tiny:  { localWidth: 96,  localHeads: 3, encoderLayers: 1, decoderLayers: 2, globalWidth: 192, globalHeads: 3, globalLayers: 4, k: 2, hashVocab: 8192,
           entropyWidth: 64, entropyHeads: 2, entropyLayers: 2, rowBytes: 512, batchRows: 4, lr: 3e-3, entropyBytes: 1_000_000, modelBytes: 3_000_000 },
  // biome-ignore format: a table reads best aligned
  small: { localWidth: 128, localHeads: 4, encoderLayers: 1, decoderLayers: 3, globalWidth: 256, globalHeads: 4, globalLayers: 4, k: 2, hashVocab: 8192,
           entropyWidth: 96, entropyHeads: 3, entropyLayers: 2, rowBytes: 512, batchRows: 4, lr: 2e-3, entropyBytes: 1_000_000, modelBytes: 3_000_000 },
  // biome-ignore format: a table reads best aligned
  base:  { localWidth: 256, localHeads: 8, encoderLayers: 1, decoderLayers: 4, globalWidth: 512, globalHeads: 8, globalLayers: 8, k: 2, hashVocab: 16384,
           entropyWidth: 128, entropyHeads: 4, entropyLayers: 3, rowBytes: 1024, batchRows: 8, lr: 1e-3, entropyBytes: 4_000_000, modelBytes: 30_000_000 },
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
   * Whose masks (default: `facebook`). `huggingface` trains what transformers computes: no window, no document bounds; the entropy model
   * starts afresh after every `rowBytes` bytes, which is all it learns to see.
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
  readonly rowBytes?: number;
  readonly patchesPerRow?: number;
  readonly lr?: number;
  readonly warmupSteps?: number;
  readonly minRatio?: number;
  readonly weightDecay?: number;
  /** 0 = none */
  readonly gradClip?: number;
  readonly accumulation?: number;
  /** Dropout of the residual stream; the other element rates follow from it. */
  readonly dropout?: number;
  readonly hashDropout?: number;
  /** Less memory for about a third more time: for long rows. */
  readonly recompute?: boolean;
  /** Initial std of the hash tables as a share of the paper's. */
  readonly hashInit?: number;
  /** 0 = none */
  readonly ema?: number;
  readonly evalEvery?: number;
  /** 0 = never stop early */
  readonly patience?: number;
  readonly spike?: SpikeOptions | null;
  /** An entropy model made before, used as it is. */
  readonly entropyModel?: Origin & { readonly config: TransformerConfig };
  /** A Llama whose blocks the global transformer starts with, and the share of the learning rate they are trained at (0.1). */
  readonly initGlobal?: Origin & { readonly config: TransformerConfig; readonly lrScale?: number };
}

const origin = (o: Origin | undefined): Origin | null => (o ? { source: o.source, sha256: o.sha256 } : null);

const DEFAULT_PATCH_BYTES = 4.5;

function patchingOf(o: RunOptions): PatchingOptions {
  const mode = o.patchingMode ?? 'entropy';
  const maxPatchLength = o.maxPatchLength ?? null;
  if (mode === 'static') {
    const patchSize = o.patchSize ?? 4;
    if (!Number.isInteger(patchSize) || patchSize < 1) {
      throw new ConfigError(`patch size ${patchSize} must be a whole number >= 1 in mode static`);
    }
    return { mode, patchSize, maxPatchLength };
  }
  if (o.patchSize !== undefined && !(o.patchSize >= 1)) throw new ConfigError(`patch size ${o.patchSize} must be >= 1`);
  if (mode !== 'entropy') return { mode, maxPatchLength };
  return {
    mode,
    threshold: o.threshold ?? 0,
    monotonic: o.monotonic ?? false,
    thresholdAdd: o.thresholdAdd ?? null,
    maxPatchLength,
  };
}

/** In the words of a run's options; `validateConfig` would speak of a part's inside. */
function checkHeads(part: string, width: number, heads: number): void {
  const both = `${part}_width ${width} / ${part}_heads ${heads}`;
  if (width % heads !== 0) throw new ConfigError(`${both} leaves a remainder: heads must divide the width; change one`);
  if ((width / heads) % 2 !== 0) {
    throw new ConfigError(`${both} = ${width / heads} is odd; rotary positions need heads of even width; change one`);
  }
}

/** A Llama's sizes, fewer layers if asked for. @throws ConfigError listing every size asked for that the Llama does not have */
function globalOf(o: RunOptions, llama: TransformerConfig, patchesPerRow: number): TransformerConfig {
  const asked = [
    ['global_width', o.globalWidth, llama.hiddenSize, o.globalWidth === llama.hiddenSize],
    ['global_heads', o.globalHeads, llama.numAttentionHeads, o.globalHeads === llama.numAttentionHeads],
    ['global_layers', o.globalLayers, llama.numHiddenLayers, (o.globalLayers ?? 0) <= llama.numHiddenLayers],
  ] as const;
  const wrong = asked.filter(([, value, , fits]) => value !== undefined && !fits);
  if (wrong.length > 0) {
    const list = wrong.map(([name, value, has]) => `${name} ${value} (the Llama has ${has})`).join(', ');
    throw new ConfigError(`the global transformer starts from a Llama of other sizes: ${list}; leave them out`);
  }
  return {
    ...llama,
    numHiddenLayers: o.globalLayers ?? llama.numHiddenLayers,
    maxPositionEmbeddings: Math.max(4096, patchesPerRow),
  };
}

/**
 * How hard to regularise: nothing while every byte is new, everything from three passes over the corpus on.
 * The full rates are those of docs/results.md; `residual` scales the element rates.
 */
function dropoutOf(o: RunOptions, passes: number): DropoutRates {
  const strength = Math.min(1, Math.max(0, (passes - 0.9) / 2.1));
  const residual = o.dropout ?? 0.1 * strength;
  return {
    embedding: residual,
    residual,
    hidden: residual,
    output: residual,
    hash: o.hashDropout ?? 0.4 * strength,
  };
}

/**
 * The plan of a run: every value resolved.
 * @param trainBytes bytes of the training documents
 * @throws ConfigError naming what does not fit
 */
export function planRun(o: RunOptions, trainBytes: number): RunPlan {
  const size = o.size ?? 'nano';
  const preset = PRESETS[size];
  if (!preset) throw new ConfigError(`size must be one of ${SIZES.join(', ')}, got ${JSON.stringify(size)}`);
  const seed = o.seed ?? 0;
  const patching = patchingOf(o);
  const patchBytes =
    patching.mode === 'static'
      ? patching.patchSize
      : patching.mode === 'byte'
        ? 1
        : (o.patchSize ?? DEFAULT_PATCH_BYTES);
  const rowBytes = o.rowBytes ?? preset.rowBytes;
  const patchesPerRow = o.patchesPerRow ?? Math.max(2, Math.round(rowBytes / patchBytes));
  const maxRowBytes = rowBytes * 2;
  const localWidth = o.localWidth ?? preset.localWidth;
  const localHeads = o.localHeads ?? preset.localHeads;
  const [globalWidth, globalHeads] = [o.globalWidth ?? preset.globalWidth, o.globalHeads ?? preset.globalHeads];
  const [entropyWidth, entropyHeads] = [o.entropyWidth ?? preset.entropyWidth, o.entropyHeads ?? preset.entropyHeads];
  checkHeads('local', localWidth, localHeads);
  if (!o.initGlobal) checkHeads('global', globalWidth, globalHeads);
  if (patching.mode === 'entropy' && !o.entropyModel) checkHeads('entropy', entropyWidth, entropyHeads);
  const positions = Math.max(8192, maxRowBytes);
  const local = (layers: number, crossAttnAllLayers: boolean) => ({
    ...transformerConfig({
      hiddenSize: localWidth,
      numHiddenLayers: layers,
      numAttentionHeads: localHeads,
      maxPositionEmbeddings: positions,
    }),
    crossAttnAllLayers,
  });
  const behaviour = o.behaviour ?? 'facebook';
  if (behaviour === 'huggingface' && o.window !== undefined) {
    throw new ConfigError(`behaviour huggingface has no window; leave out window ${o.window}`);
  }
  const config: BltConfig = {
    vocabSize: VOCAB_SIZE,
    behaviour,
    window: behaviour === 'huggingface' ? null : (o.window ?? 512),
    encoder: local(o.encoderLayers ?? preset.encoderLayers, false),
    global: {
      ...transformerConfig({
        hiddenSize: globalWidth,
        numHiddenLayers: o.globalLayers ?? preset.globalLayers,
        numAttentionHeads: globalHeads,
        maxPositionEmbeddings: Math.max(4096, patchesPerRow),
      }),
      ...(o.initGlobal && globalOf(o, o.initGlobal.config, patchesPerRow)),
    },
    decoder: local(o.decoderLayers ?? preset.decoderLayers, true),
    patcher:
      patching.mode === 'entropy'
        ? (o.entropyModel?.config ??
          transformerConfig({
            hiddenSize: entropyWidth,
            numHiddenLayers: o.entropyLayers ?? preset.entropyLayers,
            numAttentionHeads: entropyHeads,
            maxPositionEmbeddings: behaviour === 'huggingface' ? rowBytes : Math.max(8192, rowBytes),
            ropeTheta: 10_000,
          }))
        : null,
    crossAttnK: o.k ?? preset.k,
    hash: {
      groupSizes: o.hashSizes ?? [3, 4, 5, 6, 7, 8],
      functions: o.hashFunctions ?? 1,
      vocab: o.hashVocab ?? preset.hashVocab,
    },
    patching,
  };
  validateConfig(config);

  const batchRows = o.batchRows ?? preset.batchRows;
  const accumulation = o.accumulation ?? 1;
  const bytesPerStep = rowBytes * batchRows * accumulation;
  // A corpus is seen six times at most: more is memory, not learning.
  const budget = (bytes: number) => Math.max(20 * bytesPerStep, Math.min(bytes, 6 * trainBytes));
  const steps = o.steps ?? Math.ceil(budget(preset.modelBytes) / bytesPerStep);
  const passes = (steps * bytesPerStep) / Math.max(1, trainBytes);
  const adamw = { ...ADAMW_DEFAULTS, weightDecay: o.weightDecay ?? 0.1 + 0.2 * Math.min(1, Math.max(0, passes - 1)) };
  const lr = o.lr ?? preset.lr;
  if (lr * adamw.weightDecay >= 1) {
    throw new ConfigError(
      `lr ${lr} x weight decay ${adamw.weightDecay} must be below 1: a step shrinks weights by that share`,
    );
  }
  const gradClip = o.gradClip === 0 ? Number.POSITIVE_INFINITY : (o.gradClip ?? 1);
  const entropyBatch = Math.max(1, Math.round(4096 / rowBytes));
  const entropySteps =
    o.entropySteps ??
    Math.ceil(
      Math.max(20 * entropyBatch * rowBytes, Math.min(preset.entropyBytes, 2 * trainBytes)) / (entropyBatch * rowBytes),
    );
  return {
    config,
    targetPatchBytes:
      patching.mode === 'entropy' && o.threshold === undefined ? (o.patchSize ?? DEFAULT_PATCH_BYTES) : null,
    hashInit: o.hashInit ?? 0.2,
    recompute: o.recompute ?? false,
    entropyOrigin: config.patcher ? origin(o.entropyModel) : null,
    globalOrigin: origin(o.initGlobal),
    entropyModel:
      config.patcher && !o.entropyModel
        ? {
            rowBytes,
            loop: {
              steps: entropySteps,
              batchRows: entropyBatch,
              accumulation: 1,
              lr: 4e-3,
              warmupSteps: Math.min(30, Math.floor(entropySteps / 10)),
              minRatio: 0.1,
              gradClip: 1,
              adamw: ADAMW_DEFAULTS,
              dropout: { embedding: 0, residual: 0, hidden: 0, output: 0, hash: 0 },
              ema: null,
              seed,
            },
          }
        : null,
    model: {
      patchesPerRow,
      maxRowBytes,
      loop: {
        steps,
        batchRows,
        accumulation,
        lr,
        warmupSteps: o.warmupSteps ?? Math.min(100, Math.floor(steps / 10)),
        minRatio: o.minRatio ?? 0.02,
        gradClip,
        adamw,
        dropout: dropoutOf(o, passes),
        ema: o.ema ? o.ema : null,
        spike: o.spike ?? null,
        ...(o.initGlobal && {
          groups: [{ prefix: COPIED_BLOCKS, lrScale: o.initGlobal.lrScale ?? COPIED_LR_SCALE }],
        }),
        seed,
      },
    },
    evalEvery: o.evalEvery ?? Math.max(1, Math.ceil(steps / 12)),
    evalBytes: 32_768,
    patience: o.patience === 0 ? Number.POSITIVE_INFINITY : (o.patience ?? 4),
    seed,
  };
}
