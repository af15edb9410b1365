/**
 * @file The patch models: BLT as it is, and the same without cross-attention, where each patch is added to the bytes that follow it. With
 * static patches and no hash embeddings that is a MegaByte, with patches by space a SpaceByte.
 */
import { add, embeddingBag, gatherRows, linear, mul, rmsNorm, segmentGatherSum, segmentMax } from '@blt-ts/autograd';
import {
  type BltBatch,
  type BltConfig,
  type BltParams,
  bltBatch,
  bltLogits,
  bltPlan,
  type Dropout,
  embedBytes,
  encode,
  globalTransformer,
  HASH_TABLE,
  type PatchingOptions,
  patchLengths,
  splitFirstPatch,
  transformerConfig,
  transformerStack,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { type Backend, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { type Arm, headsOf, type StudyRow } from './arm.ts';
import { Tokenizer } from './bpe.ts';
import type { StudyDocument } from './chunks.ts';
import { patchModelForward } from './executed-flops.ts';
import type { PatchConfig } from './run-config.ts';

/** Positions of each stack: more than any row of the study has. */
const POSITIONS = 8192;

/** How the patches of a run are cut. */
export interface Cutting {
  readonly patching: PatchingOptions;
  /** Entropies of a document's ids, nats; null where patches are cut without them. That of an id is of the prediction of the next one. */
  entropies(document: StudyDocument): Float32Array | null;
  /** Mean entropy of the training part, nats; 0 without one. */
  readonly meanEntropy: number;
  /** Forward FLOPs of the entropy model for a byte; 0 without one. */
  readonly flopsPerByte: number;
}

/** The configuration of the core for a run of the study. */
export function bltConfigOf(c: PatchConfig, patching: PatchingOptions): BltConfig {
  const stack = (width: number, layers: number) =>
    transformerConfig({
      hiddenSize: width,
      numHiddenLayers: layers,
      numAttentionHeads: headsOf(width),
      maxPositionEmbeddings: POSITIONS,
    });
  return {
    vocabSize: VOCAB_SIZE,
    behaviour: 'facebook',
    window: c.window,
    encoder: { ...stack(c.local_width, c.encoder_layers), crossAttnAllLayers: false },
    global: stack(c.global_width, c.global_layers),
    decoder: { ...stack(c.local_width, c.decoder_layers), crossAttnAllLayers: true },
    // Cutting is the study's own part: the model has patches, wherever they come from.
    patcher: null,
    crossAttnK: c.cross_attention === 'none' ? 1 : c.k,
    hash: { groupSizes: c.hash_sizes, functions: 1, vocab: c.hash_vocab },
    patching,
  };
}

/** Weights of the losses of targets, whose predictions have these entropies: (H / mean H)^power. */
export const lossWeights = (entropies: Float32Array, mean: number, power: number): Float32Array =>
  entropies.map((h) => Math.max(h / mean, 1e-3) ** power);

/** Chunks as rows of bytes. A patch that crosses a cut is cut there, and a row's first id is a patch of its own. */
function patchRows(
  cutting: Cutting,
  power: number,
  document: StudyDocument,
  ends: readonly number[],
  context: boolean,
): StudyRow[] {
  const ids = encode(document.bytes, { bos: true, eos: document.complete });
  const entropies = cutting.entropies(document);
  const lengths = splitFirstPatch(patchLengths(ids, entropies, cutting.patching, { includeNextToken: false }));
  const weights = entropies !== null && power !== 0 ? lossWeights(entropies, cutting.meanEntropy, power) : null;
  const starts = new Uint8Array(ids.length);
  let at = 0;
  for (const length of lengths) {
    starts[at] = 1;
    at += length;
  }
  return ends.map((end, i) => {
    const from = i === 0 ? 0 : ends[i - 1];
    const begin = context && i > 0 ? (i === 1 ? 0 : ends[i - 2]) : from;
    const stop = i === ends.length - 1 ? ids.length : end + 1;
    const patches = [1];
    for (let t = begin + 1; t < stop; t++) {
      if (t === begin + 1 || starts[t]) patches.push(0);
      patches[patches.length - 1]++;
    }
    return {
      ids: ids.slice(begin, stop - 1),
      targets: ids.slice(begin + 1, stop),
      patchLengths: Int32Array.from(patches),
      scoredFrom: from - begin,
      ...(weights && { weights: weights.slice(begin, stop - 1) }),
    };
  });
}

/** The maximum, the mean or the last of the bytes of each patch. @param bytes [B, C]   @param starts [P+1]   @returns [P, C] */
export function pooledPatches(
  bytes: Tensor,
  { patchStarts, layout }: BltBatch,
  pooling: PatchConfig['pooling'],
): Tensor {
  if (pooling === undefined) return segmentMax(bytes, patchStarts);
  const starts = layout.patchStarts;
  const { backend } = bytes;
  const patches = starts.length - 1;
  if (pooling === 'last')
    return gatherRows(
      bytes,
      tensor(
        starts.slice(1).map((end) => end - 1),
        undefined,
        { backend },
      ),
    );
  const all = tensor(
    Int32Array.from({ length: starts[patches] }, (_, i) => i),
    undefined,
    { backend },
  );
  const share = Float32Array.from({ length: patches }, (_, i) => 1 / (starts[i + 1] - starts[i]));
  return mul(segmentGatherSum(bytes, all, patchStarts), tensor(share, [patches, 1], { backend }));
}

/** Logits without cross-attention: patches are pooled from their bytes, and each byte adds the newest finished patch. [B, vocab] */
function plainPatchLogits(
  p: BltParams,
  batch: BltBatch,
  config: BltConfig,
  pooling: PatchConfig['pooling'],
  dropout?: Dropout,
): Tensor {
  const { local_encoder: encoder, global_transformer: global, local_decoder: decoder } = p.model;
  const x = embedBytes(p, batch, dropout);
  const bytes = transformerStack(encoder.layers, dropout?.embedding(x) ?? x, batch.encoder, config.encoder, dropout);
  const patches = linear(pooledPatches(bytes, batch, pooling), encoder.patch_embedding_projection.weight);
  const latent = globalTransformer(global, patches, batch, config, dropout);
  const narrow = linear(latent, decoder.patch_embedding_projection.weight); // [P, C]
  const { lo, hi } = batch.layout.decoderCross;
  const newest = lo.map((from, i) => (hi[i] > from ? hi[i] - 1 : -1));
  const seen = embeddingBag(narrow, tensor(newest, [newest.length, 1], { backend: bytes.backend }));
  const h = transformerStack(
    decoder.layers,
    scope(() => add(bytes, seen)),
    batch.decoder,
    config.decoder,
    dropout,
  );
  const states = rmsNorm(h, decoder.norm.weight, config.decoder.rmsNormEps);
  return linear(dropout?.output(states) ?? states, p.lm_head.weight);
}

/** The patch model of a configuration. */
export function patchArm(c: PatchConfig, cutting: Cutting, backend: Backend): Arm<BltParams, BltBatch> {
  const config = bltConfigOf(c, cutting.patching);
  const none = c.cross_attention === 'none';
  const plan = bltPlan(config, c.table_init);
  return {
    parameters: none ? plan.filter(({ name }) => !name.includes('.cross_attn_layers.')) : plan,
    byteLengths: new Tokenizer([]).byteLengths,
    rows: (document, ends, context) => patchRows(cutting, c.entropy_loss ?? 0, document, ends, context),
    batch: (rows) => bltBatch(rows, config, { backend }),
    logits: (p, batch, dropout) =>
      none ? plainPatchLogits(p, batch, config, c.pooling, dropout) : bltLogits(p, batch, config, dropout),
    reads: ({ hashIds }) => new Map(hashIds ? [[HASH_TABLE, hashIds]] : []),
    flops: (batch) => ({
      model: patchModelForward(config, batch, c.cross_attention),
      patcher: cutting.flopsPerByte * batch.layout.bytes,
    }),
  };
}
