import type { RunOptions } from '@blt-ts/blt';
import type { FileConfig } from './config-schema.ts';

/** What a run starts from, opened. */
export type RunOrigins = Pick<RunOptions, 'initGlobal' | 'entropyModel'>;

/** The config file's words in the library's: units and meaning are the same. */
export function runOptions(config: FileConfig, { initGlobal, entropyModel }: RunOrigins = {}): RunOptions {
  const lrScale = config.train?.init_global_lr_scale;
  const { model = {}, patcher = {}, entropy_model: entropy = {}, train = {} } = config;
  return {
    size: config.size,
    entropyModel,
    initGlobal: initGlobal && { ...initGlobal, ...(lrScale === undefined ? {} : { lrScale }) },
    seed: config.seed,
    localWidth: model.local_width,
    localHeads: model.local_heads,
    encoderLayers: model.encoder_layers,
    decoderLayers: model.decoder_layers,
    globalWidth: model.global_width,
    globalHeads: model.global_heads,
    globalLayers: model.global_layers,
    k: model.k,
    hashSizes: model.hash_sizes,
    hashFunctions: model.hash_functions,
    hashVocab: model.hash_vocab,
    window: model.window,
    behaviour: model.behaviour,
    entropyWidth: entropy.width,
    entropyHeads: entropy.heads,
    entropyLayers: entropy.layers,
    entropySteps: entropy.steps,
    patchingMode: patcher.patching_mode,
    patchSize: patcher.patch_size,
    threshold: patcher.threshold,
    monotonic: patcher.monotonic,
    thresholdAdd: patcher.threshold_add,
    maxPatchLength: patcher.max_patch_length,
    steps: train.steps,
    batchRows: train.batch_size,
    rowBytes: train.row_bytes,
    patchesPerRow: train.patches_per_row,
    lr: train.lr,
    warmupSteps: train.warmup_steps,
    minRatio: train.lr_min_ratio,
    weightDecay: train.weight_decay,
    gradClip: train.grad_clip,
    accumulation: train.grad_accumulation,
    recompute: train.recompute,
    hashInit: train.hash_init,
    dropout: train.dropout,
    hashDropout: train.hash_dropout,
    ema: train.ema,
    evalEvery: train.eval_every,
    patience: train.patience,
    spike:
      train.on_spike === 'skip' || train.on_spike === 'rewind'
        ? { action: train.on_spike, factor: train.spike_factor ?? 2 }
        : null,
  };
}
