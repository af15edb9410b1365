import {
  bltFlops,
  bltPlan,
  COPIED_BLOCKS,
  countParameters,
  entropyModelPlan,
  type RunPlan,
  transformerFlops,
} from '@blt-ts/blt';
import { humanBytes, humanCount, humanDuration } from '../terminal/human-units.ts';
import { bytesPerStep, type Rates } from './forecast.ts';

/** Parameters of each part of a model. */
export function parametersByPart({ config }: Pick<RunPlan, 'config'>): { part: string; count: number }[] {
  const plan = bltPlan(config);
  return [
    {
      part: 'entropy model',
      count: config.patcher ? countParameters(entropyModelPlan(config.patcher, config.vocabSize)) : 0,
    },
    { part: 'hash n-gram embeddings', count: countParameters(plan, 'model.encoder_hash_tok_embedding') },
    { part: 'local encoder', count: countParameters(plan, 'model.local_encoder') },
    { part: 'global transformer', count: countParameters(plan, 'model.global_transformer') },
    { part: 'local decoder', count: countParameters(plan, 'model.local_decoder') + countParameters(plan, 'lm_head') },
  ];
}

/** Forward FLOPs per byte by the paper's formulas. */
export function flopsPerByte(
  { config }: Pick<RunPlan, 'config'>,
  patchBytes: number,
  contextBytes: number,
): { model: number; entropyModel: number } {
  const window = Math.min(config.window ?? contextBytes, contextBytes);
  const model = bltFlops({
    globalWidth: config.global.hiddenSize,
    globalLayers: config.global.numHiddenLayers,
    encoderWidth: config.encoder.hiddenSize,
    encoderLayers: config.encoder.numHiddenLayers,
    decoderWidth: config.decoder.hiddenSize,
    decoderLayers: config.decoder.numHiddenLayers,
    contextBytes,
    patchBytes,
    k: config.crossAttnK,
    encoderWindow: window,
    decoderWindow: window,
    vocab: config.vocabSize,
  }).forward;
  const { patcher } = config;
  const entropyModel = patcher
    ? transformerFlops({
        layers: patcher.numHiddenLayers,
        width: patcher.hiddenSize,
        context: window,
        vocab: config.vocabSize,
      })
    : 0;
  return { model, entropyModel };
}

export interface Estimate {
  readonly seconds: number;
  readonly bytes: number;
  /** The time follows from steps that were really taken. */
  readonly measured: boolean;
}

/** Of a product's speed, what the kernels of a step reach on average. */
const SHARE_OF_PEAK = 0.6;

/** How long the work of a run takes by the formula's FLOPs, at 60% of the speed of a matrix product measured a moment ago. */
export function ratesByFormula(plan: RunPlan, gflops: number): Rates {
  const { model, entropyModel, config } = plan;
  const rowBytes = (model.maxRowBytes ?? 2048) / 2;
  const flops = flopsPerByte(plan, Math.max(1, rowBytes / model.patchesPerRow), rowBytes);
  const perSecond = gflops * 1e9 * SHARE_OF_PEAK;
  return {
    // Backward takes twice what forward takes.
    entropyStep: entropyModel
      ? (3 * flops.entropyModel * entropyModel.rowBytes * entropyModel.loop.batchRows) / perSecond
      : 0,
    scoredByte: flops.entropyModel / perSecond,
    step: (3 * flops.model * bytesPerStep(plan)) / perSecond,
    evaluatedByte: flops.model / perSecond,
    save: (16 * countParameters(bltPlan(config))) / 250e6,
  };
}

/**
 * Memory of a run: weights, gradients and two moments, the activations of one batch, the hash tables three times more (to evaluate and
 * to save, they are copied), the corpus, and what Node takes, 160 MB. Fitted to peaks that were measured, within 5% of them: 30 steps
 * of nano, tiny and small (351, 420, 578 MB), 2 of small with tables of 500,002 rows (10.6 GB).
 * @param corpusBytes of all documents: they are in memory once, and while they are read and hashed a tenth more
 * @param readBytes of those that the run reads: ids, rows, entropies and patches take 25 bytes for each
 */
export function memoryOf({ config, model }: RunPlan, corpusBytes: number, readBytes: number): number {
  const rowBytes = (model.maxRowBytes ?? 2048) / 2;
  const patchBytes = Math.max(1, rowBytes / model.patchesPerRow);
  const values = countParameters(bltPlan(config));
  const local = config.encoder.numHiddenLayers + config.decoder.numHiddenLayers;
  const perByte =
    config.encoder.hiddenSize * 20 * local +
    (config.global.hiddenSize * 14 * config.global.numHiddenLayers) / patchBytes +
    4 * config.vocabSize;
  const { functions, groupSizes, vocab } = config.hash;
  const tables = functions * groupSizes.length * vocab * config.encoder.hiddenSize;
  const floats = values * (model.loop.ema === null ? 4 : 5) + perByte * rowBytes * model.loop.batchRows + 3 * tables;
  return 4 * floats + 160e6 + 1.1 * corpusBytes + 25 * readBytes;
}

/** The learning rate of a Llama's blocks in the global transformer, in words. */
export function copiedRate({ model }: Pick<RunPlan, 'model'>): string {
  const scale = model.loop.groups?.find(({ prefix }) => prefix === COPIED_BLOCKS)?.lrScale ?? 1;
  return scale === 0
    ? 'frozen'
    : `at ${scale} of the learning rate (${Number((scale * model.loop.lr).toPrecision(3))})`;
}

/** What is about to happen, line by line. */
export function planText(
  plan: RunPlan,
  facts: {
    data: string;
    trainBytes: number;
    /** What is held out, in words. */
    heldOut: string;
    /** What `--dedupe` did, in words; null: nothing. */
    leftOut: string | null;
    /** Which part of the data is read, if not all. */
    sample: string | null;
    backend: string;
    estimate: Estimate;
    folder: string;
  },
): string {
  const { config, model, entropyModel } = plan;
  const parts = parametersByPart(plan);
  const total = parts.reduce((n, p) => n + p.count, 0);
  const { dropout } = model.loop;
  const patching =
    config.patching.mode === 'entropy'
      ? plan.targetPatchBytes === null
        ? `by entropy above ${config.patching.threshold} nats`
        : `by entropy, threshold calibrated to ${plan.targetPatchBytes} bytes a patch`
      : config.patching.mode === 'static'
        ? `every ${config.patching.patchSize} bytes`
        : `by ${config.patching.mode}`;
  const lines = [
    ['data', `${facts.data}: ${humanBytes(facts.trainBytes)} to train on`],
    ['held out', facts.heldOut],
    ...(facts.leftOut === null ? [] : [['left out', facts.leftOut]]),
    ...(facts.sample ? [['reads', facts.sample]] : []),
    ['patches', patching],
    [
      'model',
      `local ${config.encoder.hiddenSize} x (${config.encoder.numHiddenLayers} + ${config.decoder.numHiddenLayers} layers), global ${config.global.hiddenSize} x ${config.global.numHiddenLayers} layers`,
    ],
    ...(config.behaviour === 'huggingface'
      ? [['behaviour', 'huggingface: plain causal attention, for models that go on in transformers']]
      : []),
    ...(plan.globalOrigin
      ? [['global', `starts with the blocks of ${plan.globalOrigin.source}, ${copiedRate(plan)}`]]
      : []),
    [
      'parameters',
      `${humanCount(total)}: ${parts
        .filter((p) => p.count > 0)
        .map((p) => `${p.part} ${humanCount(p.count)}`)
        .join(', ')}`,
    ],
    ...(entropyModel
      ? [
          [
            'entropy model',
            `${entropyModel.loop.steps} steps of ${humanBytes(entropyModel.rowBytes * entropyModel.loop.batchRows)}`,
          ],
        ]
      : plan.entropyOrigin
        ? [['entropy model', `that of ${plan.entropyOrigin.source}, as it is`]]
        : []),
    [
      'training',
      `${model.loop.steps} steps of ${humanBytes(bytesPerStep(plan))}, lr ${model.loop.lr}, weight decay ${Number(model.loop.adamw.weightDecay.toFixed(3))}, dropout ${Number(dropout.residual.toFixed(3))} (hash rows ${Number(dropout.hash.toFixed(3))})`,
    ],
    ['backend', facts.backend],
    [
      'estimate',
      `about ${humanDuration(facts.estimate.seconds)}${facts.estimate.measured ? ', measured on a few steps' : ''}; ${humanBytes(facts.estimate.bytes)} of memory`,
    ],
    ['folder', facts.folder],
  ];
  return lines.map(([name, text]) => `${name.padEnd(14)} ${text}`).join('\n');
}
