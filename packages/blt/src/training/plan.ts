/** @file One dial, `size`, from which every other number of a run follows; each may also be given by itself. */

import { ConfigError } from '../errors.ts';
import {
  type Behaviour,
  type BltConfig,
  type LocalConfig,
  type TransformerConfig,
  transformerConfig,
  validateConfig,
} from '../model/config.ts';
import { NO_DROPOUT } from '../model/dropout.ts';
import { ADAMW_DEFAULTS } from '../optim/adamw.ts';
import type { PatchingOptions } from '../patching/boundaries.ts';
import { VOCAB_SIZE } from '../patching/vocabulary.ts';
import { configOfModel, optionsOfModel } from './from-model.ts';
import type { LoopOptions } from './loop-options.ts';
import { evaluationInterval, hidingRateOf, leavesOneOut, modelSteps, stepsOver } from './planned-steps.ts';
import { HASH_INIT, OUTPUT_INIT, recipeOf } from './recipe.ts';
import type { RunPlan } from './run-plan.ts';
import { PRESETS, type Preset, type RunOptions, SIZES } from './sizes.ts';
import { DECAY_FRACTION } from './training-loop.ts';
import type { WeightSource } from './warm-start.ts';

const sourceOf = (o: WeightSource | undefined): WeightSource | null =>
  o ? { source: o.source, sha256: o.sha256 } : null;

/** Held-out bytes of each evaluation. All are measured on the same ones, so that their order is surer than their values. */
const EVALUATION_BYTES = 16_384;

/** n-gram sizes. The paper has 3 to 8. On a small corpus short ones are worth more, because most long ones are seen once. */
const HASH_SIZES: readonly number[] = [2, 3, 4, 5, 6, 8];

/** Mean bytes per patch that entropy patching is calibrated to: that of the paper's models. */
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

/** @throws ConfigError in the words of a run's options, where `validateConfig` would name fields of the configuration */
function checkHeads(part: string, width: number, heads: number): void {
  const both = `${part}_width ${width} / ${part}_heads ${heads}`;
  if (width % heads !== 0) throw new ConfigError(`${both} leaves a remainder: heads must divide the width; change one`);
  if ((width / heads) % 2 !== 0) {
    throw new ConfigError(`${both} = ${width / heads} is odd; rotary positions need heads of even width; change one`);
  }
}

/** A Llama's sizes, fewer layers if asked for. @throws ConfigError listing every size asked for that the Llama does not have */
function globalFromLlamaOptions(o: RunOptions, llama: TransformerConfig, patchesPerRow: number): TransformerConfig {
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

/** Values that several parts of a plan are made from. */
interface Basis {
  readonly options: RunOptions;
  readonly preset: Preset;
  readonly patching: PatchingOptions;
  readonly behaviour: Behaviour;
  readonly rowBytes: number;
  readonly maxRowBytes: number;
  readonly patchesPerRow: number;
}

function basisOf(o: RunOptions): Basis {
  const size = o.size ?? 'nano';
  const preset = PRESETS[size];
  if (!preset) throw new ConfigError(`size must be one of ${SIZES.join(', ')}, got ${JSON.stringify(size)}`);
  const patching = patchingOf(o);
  const rowBytes = o.rowBytes ?? preset.rowBytes;
  const patchesPerRow = o.patchesPerRow ?? Math.max(2, Math.round(rowBytes / patchBytesOf(o, patching)));
  const behaviour = o.behaviour ?? 'facebook';
  return { options: o, preset, patching, behaviour, rowBytes, maxRowBytes: rowBytes * 2, patchesPerRow };
}

/** Bytes per patch to expect. */
function patchBytesOf(o: RunOptions, patching: PatchingOptions): number {
  if (patching.mode === 'static') return patching.patchSize;
  return patching.mode === 'byte' ? 1 : (o.patchSize ?? DEFAULT_PATCH_BYTES);
}

/** The byte models around the global transformer: encoder and decoder share width, heads and positions. */
function localOf({ options: o, preset, maxRowBytes }: Basis, layers: number, crossAttnAllLayers: boolean): LocalConfig {
  const stack = transformerConfig({
    hiddenSize: o.localWidth ?? preset.localWidth,
    numHiddenLayers: layers,
    numAttentionHeads: o.localHeads ?? preset.localHeads,
    maxPositionEmbeddings: Math.max(8192, maxRowBytes),
  });
  return { ...stack, crossAttnAllLayers };
}

function globalOf({ options: o, preset, patchesPerRow }: Basis): TransformerConfig {
  const stack = transformerConfig({
    hiddenSize: o.globalWidth ?? preset.globalWidth,
    numHiddenLayers: o.globalLayers ?? preset.globalLayers,
    numAttentionHeads: o.globalHeads ?? preset.globalHeads,
    maxPositionEmbeddings: Math.max(4096, patchesPerRow),
  });
  return { ...stack, ...(o.initGlobal && globalFromLlamaOptions(o, o.initGlobal.config, patchesPerRow)) };
}

/** The entropy model; null where patches do not need one. */
function patcherOf({ options: o, preset, patching, behaviour, rowBytes }: Basis): TransformerConfig | null {
  if (patching.mode !== 'entropy') return null;
  if (o.entropyModel?.config) return o.entropyModel.config;
  return transformerConfig({
    hiddenSize: o.entropyWidth ?? preset.entropyWidth,
    numHiddenLayers: o.entropyLayers ?? preset.entropyLayers,
    numAttentionHeads: o.entropyHeads ?? preset.entropyHeads,
    maxPositionEmbeddings: behaviour === 'huggingface' ? rowBytes : Math.max(8192, rowBytes),
    ropeTheta: 10_000,
  });
}

function configOf(basis: Basis): BltConfig {
  const { options: o, preset, patching, behaviour } = basis;
  if (o.from) return validConfig(configOfModel(o.from.config, { ...basis, patcher: patcherOf(basis) }));
  const encoder = localOf(basis, o.encoderLayers ?? preset.encoderLayers, false);
  checkHeads('local', encoder.hiddenSize, encoder.numAttentionHeads);
  if (!o.initGlobal) checkHeads('global', o.globalWidth ?? preset.globalWidth, o.globalHeads ?? preset.globalHeads);
  const patcher = patcherOf(basis);
  if (patcher && !o.entropyModel) checkHeads('entropy', patcher.hiddenSize, patcher.numAttentionHeads);
  if (behaviour === 'huggingface' && o.window !== undefined) {
    throw new ConfigError(`behaviour huggingface has no window; leave out window ${o.window}`);
  }
  const config: BltConfig = {
    vocabSize: VOCAB_SIZE,
    behaviour,
    window: behaviour === 'huggingface' ? null : (o.window ?? 512),
    encoder,
    global: globalOf(basis),
    decoder: localOf(basis, o.decoderLayers ?? preset.decoderLayers, true),
    patcher,
    crossAttnK: o.k ?? preset.k,
    hash: {
      groupSizes: o.hashSizes ?? HASH_SIZES,
      functions: o.hashFunctions ?? 1,
      vocab: o.hashVocab ?? preset.hashVocab,
    },
    patching,
  };
  return validConfig(config);
}

function validConfig(config: BltConfig): BltConfig {
  validateConfig(config);
  return config;
}

/** The schedule, where it is not the cosine. @throws ConfigError */
function scheduleOf({ schedule, decayFraction }: RunOptions): Pick<LoopOptions, 'schedule' | 'decayFraction'> {
  if (schedule === 'wsd') return { schedule, decayFraction: decayFraction ?? DECAY_FRACTION };
  if (decayFraction === undefined) return {};
  throw new ConfigError(`decay_fraction ${decayFraction} is of schedule wsd; add schedule wsd, or leave it out`);
}

/** How long to go on without a new best. A run of wsd waits for its decay, which brings most of its gain. */
const patienceOf = ({ patience, schedule }: RunOptions): number =>
  patience === 0 || (patience === undefined && schedule === 'wsd') ? Number.POSITIVE_INFINITY : (patience ?? 4);

/** Rows of a pass, where a batch is cut into passes. Rows that are shorter or longer than a size's are as many bytes. */
function passRowsOf({ options: o, preset, rowBytes }: Basis, batchRows: number): Pick<LoopOptions, 'passRows'> {
  const passRows = o.passRows ?? Math.max(1, Math.round((preset.passRows * preset.rowBytes) / rowBytes));
  return passRows < batchRows ? { passRows } : {};
}

/** Training of the model. */
function modelLoopOf(basis: Basis, trainBytes: number): LoopOptions {
  const { options: o, preset, rowBytes } = basis;
  const batchRows = o.batchRows ?? preset.batchRows;
  const accumulation = o.accumulation ?? 1;
  const bytesPerStep = rowBytes * batchRows * accumulation;
  const steps = o.steps ?? modelSteps(preset.modelBytes, bytesPerStep, trainBytes);
  const passes = (steps * bytesPerStep) / Math.max(1, trainBytes);
  const leaveOneOut = leavesOneOut(o, passes);
  const recipe = recipeOf({ ...o, leaveOneOut }, preset.lr, passes);
  return {
    steps,
    batchRows,
    ...passRowsOf(basis, batchRows),
    accumulation,
    ...recipe,
    warmupSteps: o.warmupSteps ?? Math.min(100, Math.floor(steps / 10)),
    minRatio: o.minRatio ?? 0.02,
    ...scheduleOf(o),
    gradClip: o.gradClip === 0 ? Number.POSITIVE_INFINITY : (o.gradClip ?? 1),
    ema: o.ema ? o.ema : null,
    spike: o.spike ?? null,
    seed: o.seed ?? 0,
  };
}

/** Training of the entropy model: batches of about 4096 bytes, two passes over the corpus at most. */
function entropyLoopOf({ options: o, preset, rowBytes }: Basis, trainBytes: number): LoopOptions {
  const batchRows = Math.max(1, Math.round(4096 / rowBytes));
  const steps = o.entropySteps ?? stepsOver(preset.entropyBytes, batchRows * rowBytes, 2, trainBytes);
  return {
    steps,
    batchRows,
    ...(batchRows > 1 && { passRows: Math.ceil(batchRows / 2) }),
    accumulation: 1,
    lr: 4e-3,
    warmupSteps: Math.min(30, Math.floor(steps / 10)),
    minRatio: 0.1,
    gradClip: 1,
    adamw: ADAMW_DEFAULTS,
    dropout: NO_DROPOUT,
    ema: null,
    seed: o.seed ?? 0,
  };
}

/**
 * The plan of a run: every value resolved.
 * @param trainBytes bytes of the training documents; of a mixture `bytesOfMixture`
 * @throws ConfigError naming the first option that does not fit
 */
export function planRun(options: RunOptions, trainBytes: number): RunPlan {
  const { steps, entropySteps, batchRows, passRows, accumulation, rowBytes: bytes, patchesPerRow: patches } = options;
  const whole = { steps, entropySteps, batchRows, passRows, accumulation, rowBytes: bytes, patchesPerRow: patches };
  for (const [name, n] of Object.entries(whole)) {
    if (n !== undefined && !(Number.isInteger(n) && n >= 1)) {
      throw new ConfigError(`${name} must be a whole number of at least 1, got ${n}`);
    }
  }
  if (!(trainBytes >= 0)) throw new ConfigError(`planRun needs the number of bytes to train on, got ${trainBytes}`);
  const o = options.from ? optionsOfModel(options, options.from) : options;
  const basis = basisOf(o);
  const { patching, rowBytes, maxRowBytes, patchesPerRow } = basis;
  const config = configOf(basis);
  const loop = modelLoopOf(basis, trainBytes);
  const passes = (loop.steps * loop.batchRows * loop.accumulation * rowBytes) / Math.max(1, trainBytes);
  const calibrates = patching.mode === 'entropy' && o.threshold === undefined;
  return {
    config,
    targetPatchBytes: calibrates ? (o.patchSize ?? DEFAULT_PATCH_BYTES) : null,
    hashInit: o.hashInit ?? HASH_INIT,
    outputInit: o.outputInit ?? OUTPUT_INIT,
    recompute: o.recompute ?? false,
    ...(o.mixture && { mixture: o.mixture }),
    ...(leavesOneOut(o, passes) && { leaveOneOut: true, hidingRate: hidingRateOf(passes) }),
    entropyOrigin: config.patcher ? sourceOf(o.entropyModel) : null,
    globalOrigin: sourceOf(o.initGlobal),
    ...(o.from && { modelOrigin: sourceOf(o.from) }),
    entropyModel: config.patcher && !o.entropyModel ? { rowBytes, loop: entropyLoopOf(basis, trainBytes) } : null,
    model: { patchesPerRow, maxRowBytes, loop },
    evalEvery: o.evalEvery ?? evaluationInterval(loop.steps),
    evalBytes: EVALUATION_BYTES,
    patience: patienceOf(o),
    seed: o.seed ?? 0,
  };
}
