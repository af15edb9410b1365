/** @file The size of a planned model: parameters of each part, FLOPs per byte, the rate of copied blocks. */
import {
  bltFlops,
  bltPlan,
  COPIED_BLOCKS,
  countParameters,
  entropyModelPlan,
  type RunPlan,
  transformerFlops,
} from '@blt-ts/blt';

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

/** The learning rate of a Llama's blocks in the global transformer, in words. */
export function copiedRate({ model }: Pick<RunPlan, 'model'>): string {
  const scale = model.loop.groups?.find(({ prefix }) => prefix === COPIED_BLOCKS)?.lrScale ?? 1;
  return scale === 0
    ? 'frozen'
    : `at ${scale} of the learning rate (${Number((scale * model.loop.lr).toPrecision(3))})`;
}
