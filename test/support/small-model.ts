/** @file Small random models of many forms, and rows of bytes for them. */
import {
  type BltConfig,
  type BltParams,
  BOS,
  bltBatch,
  bltLogits,
  bltPlan,
  type Decoder,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
  modelPatchLengths,
  type PatchedRow,
  type PatchingOptions,
  scoreEntropies,
  type TransformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { type Backend, Random, scope } from '@blt-ts/tensor';
import fc from 'fast-check';

// ----- configurations -------------------------------------------------------------------------------------------------

/** Head counts, key/value heads and head size. */
const heads = fc.constantFrom(
  { heads: 1, kvHeads: 1, headDim: 4 },
  { heads: 2, kvHeads: 2, headDim: 2 },
  { heads: 2, kvHeads: 1, headDim: 4 },
  { heads: 4, kvHeads: 2, headDim: 2 },
);

const stack = (layers: fc.Arbitrary<number>): fc.Arbitrary<TransformerConfig> =>
  fc
    .record({
      heads,
      layers,
      intermediateSize: fc.integer({ min: 1, max: 6 }),
      ropeTheta: fc.constantFrom(100, 500_000),
    })
    .map(({ heads: { heads: numAttentionHeads, kvHeads, headDim }, layers, intermediateSize, ropeTheta }) => ({
      hiddenSize: numAttentionHeads * headDim,
      numHiddenLayers: layers,
      numAttentionHeads,
      numKeyValueHeads: kvHeads,
      intermediateSize,
      maxPositionEmbeddings: 64,
      rmsNormEps: 1e-5,
      ropeTheta,
    }));

const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const nats = fc.integer({ min: -512, max: 511 }).map((i) => 5 + (i + 0.5) / 1024);
/** Never 0, which is what equal bytes differ by: rounding must not decide. */
const rise = fc.integer({ min: -256, max: 255 }).map((i) => (i + 0.5) / 1024);

/** Every way to cut a row. Thresholds of entropy are near those of an untrained model: ln 260 = 5.56 and a little less. */
export const patchings: fc.Arbitrary<PatchingOptions> = fc
  .tuple(
    fc.oneof(
      fc.record({
        mode: fc.constant('entropy' as const),
        threshold: nats,
        monotonic: fc.constant(false),
        thresholdAdd: fc.constant(null),
      }),
      fc.record({
        mode: fc.constant('entropy' as const),
        threshold: rise,
        monotonic: fc.constant(true),
        thresholdAdd: fc.constant(null),
      }),
      fc.record({
        mode: fc.constant('entropy' as const),
        threshold: nats,
        monotonic: fc.constant(false),
        thresholdAdd: rise,
      }),
      fc.record({ mode: fc.constantFrom('space' as const, 'byte' as const, 'bpe' as const) }),
      fc.record({ mode: fc.constant('static' as const), patchSize: upTo(5) }),
    ),
    fc.option(upTo(4)),
  )
  .map(([options, maxPatchLength]) => ({ ...options, maxPatchLength }));

/** Valid configurations with an entropy model, of every kind the model code tells apart. */
export const configs: fc.Arbitrary<BltConfig> = fc
  .record({
    behaviour: fc.constantFrom('facebook' as const, 'huggingface' as const),
    window: fc.option(upTo(6)),
    local: stack(upTo(2)),
    encoder: fc.record({ layers: upTo(3), crossAttnAllLayers: fc.boolean() }),
    decoder: fc.record({ layers: upTo(2), crossAttnAllLayers: fc.boolean(), intermediateSize: upTo(6) }),
    global: stack(upTo(2)),
    /** The global width is k local widths: no projection before the global model. */
    noProjection: fc.boolean(),
    patcher: stack(upTo(2)),
    crossAttnK: upTo(4),
    hash: fc.record({
      groupSizes: fc.subarray([1, 2, 3, 4]),
      functions: upTo(2),
      vocab: fc.integer({ min: 5, max: 40 }),
    }),
    patching: patchings,
  })
  .map(({ local, encoder, decoder, global, noProjection, ...rest }) => {
    const wide = rest.crossAttnK * local.hiddenSize;
    return {
      ...rest,
      vocabSize: VOCAB_SIZE,
      encoder: { ...local, numHiddenLayers: encoder.layers, crossAttnAllLayers: encoder.crossAttnAllLayers },
      decoder: {
        ...local,
        numHiddenLayers: decoder.layers,
        intermediateSize: decoder.intermediateSize,
        crossAttnAllLayers: decoder.crossAttnAllLayers,
      },
      global: noProjection ? { ...global, hiddenSize: wide, numAttentionHeads: 1, numKeyValueHeads: 1 } : global,
    };
  });

// ----- rows -----------------------------------------------------------------------------------------------------------

/** Any id; letters, spaces and specials are frequent, so that every patching mode has something to decide. */
export const id = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'abcde').map((c) => c.charCodeAt(0) + 4) },
  { weight: 2, arbitrary: fc.constantFrom(36, 14, 48) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.integer({ min: 4, max: VOCAB_SIZE - 1 }) },
);

/** A row of ids that starts with BOS. */
export const row = (minLength = 1, maxLength = 24): fc.Arbitrary<Int32Array> =>
  fc
    .array(id, { minLength: minLength - 1, maxLength: maxLength - 1, size: 'max' })
    .map((ids) => Int32Array.of(BOS, ...ids));

// ----- models ---------------------------------------------------------------------------------------------------------

export interface SmallModel {
  readonly config: BltConfig;
  readonly params: BltParams;
  readonly patcher: EntropyModelParams;
  readonly backend: Backend;
}

export const seeds = fc.integer({ min: 0, max: 2 ** 20 });

export function smallModel(config: BltConfig, seed: number, backend: Backend): SmallModel {
  const random = new Random(seed);
  const patcher = entropyModelPlan(config.patcher!, config.vocabSize);
  return {
    config,
    backend,
    params: initParameters<BltParams>(bltPlan(config), random.fork('model'), { backend }),
    patcher: initParameters<EntropyModelParams>(patcher, random.fork('patcher'), { backend }),
  };
}

export function entropiesOf(
  { config, patcher, backend }: SmallModel,
  rows: readonly Int32Array[],
  { batchInvariant = false } = {},
): Float32Array[] {
  const facebook = config.behaviour === 'facebook';
  const seen = { window: facebook ? config.window : null, documents: facebook };
  return scoreEntropies(patcher, rows, config.patcher!, { ...seen, backend, batchInvariant });
}

/** Rows with the patches that the model's own entropies, or its rule, give them. */
export function cut(model: SmallModel, rows: readonly Int32Array[], options = {}): PatchedRow[] {
  const entropies = entropiesOf(model, rows, options);
  return rows.map((ids, r) => ({ ids, patchLengths: modelPatchLengths(ids, entropies[r], model.config.patching) }));
}

/** Logits of each row [S * V], all rows in one batch, patched by the model itself; and the number of patches of the batch. */
export function predict(
  model: SmallModel,
  rows: readonly Int32Array[],
  { batchInvariant = false } = {},
): { logits: Float32Array[]; patches: number } {
  const { params, config, backend } = model;
  const batch = bltBatch(cut(model, rows, { batchInvariant }), config, { backend, batchInvariant });
  const all = scope(() => bltLogits(params, batch, config).readSync()) as Float32Array;
  let at = 0;
  const logits = rows.map((ids) => all.subarray(at, (at += ids.length * config.vocabSize)));
  return { logits, patches: batch.layout.patches };
}

/** Feeds each row in pieces of random sizes and returns the logits after every byte. */
export function decoded(decoder: Decoder, rows: readonly Int32Array[], pieces: readonly number[]): number[][] {
  const logits: number[][] = rows.map(() => []);
  const at = rows.map(() => 0);
  for (let p = 0; at.some((a, r) => a < rows[r].length); p++) {
    const parts = rows.map((ids, r) => {
      const part = ids.subarray(at[r], at[r] + pieces[(p * rows.length + r) % pieces.length]);
      at[r] += part.length;
      return part;
    });
    decoder.feed(parts, { all: true }).forEach((found, r) => {
      for (const x of found) logits[r].push(x);
    });
  }
  return logits;
}
