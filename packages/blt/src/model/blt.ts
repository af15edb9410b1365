/** @file The Byte Latent Transformer: bytes -> local encoder -> patches -> global transformer -> local decoder -> next byte. */
import {
  add,
  affine,
  crossEntropy,
  embeddingBag,
  gatherRows,
  type IntervalBounds,
  linear,
  reshape,
  rmsNorm,
  segmentMax,
} from '@blt-ts/autograd';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import type { BltBatch, StackContext } from './batch.ts';
import type { BltConfig } from './config.ts';
import type { Dropout } from './dropout.ts';
import {
  type AttentionCache,
  crossAttend,
  crossAttention,
  crossKeysAndValues,
  type KeysAndValues,
  transformerBlock,
  transformerStack,
} from './layers.ts';
import type { BltParams, GlobalTransformerParams, LocalDecoderParams, LocalEncoderParams } from './parameters.ts';

/** N-grams of bytes: the fused hash table [rows, C], and the rows of it that each byte's n-grams name [B, tables]. */
interface Ngrams {
  readonly table: Tensor;
  readonly rows: Tensor;
}

/** Byte embedding + factor * sum of the n-gram embeddings: ids [B] -> [B, C]. */
export function embedIds(p: LocalEncoderParams, ids: Tensor, ngrams: Ngrams | null, factor = 1): Tensor {
  return scope(() => {
    const bytes = gatherRows(p.embed_tokens.weight, ids);
    if (!ngrams) return bytes;
    const sum = embeddingBag(ngrams.table, ngrams.rows);
    return add(bytes, factor === 1 ? sum : affine(sum, factor));
  });
}

/**
 * Byte embedding plus the sum of the hash n-gram embeddings of every size and function: [B, C].
 * A plain sum: no scaling, no norm. @see Pagnoni et al. 2024, eq. 2-4 (the released code does not divide by 7)
 */
export function embedBytes(p: BltParams, batch: BltBatch, dropout?: Dropout): Tensor {
  return scope(() => {
    const table = p.model.encoder_hash_tok_embedding?.weight;
    if (!table || !batch.hashIds) return embedIds(p.model.local_encoder, batch.ids, null);
    const { ids, factor } = dropout?.hashRows(batch.hashIds) ?? { ids: batch.hashIds, factor: 1 };
    const shape = [batch.layout.bytes, batch.hashIds.length / batch.layout.bytes];
    const rows = tensor(ids, shape, { backend: table.backend });
    return embedIds(p.model.local_encoder, batch.ids, { table, rows }, factor);
  });
}

/** The bytes of patches: [P+1] first byte of each, and for each of the P*k queries the interval of bytes it sees. */
export interface BytesOfPatches {
  readonly starts: Tensor;
  readonly bounds: IntervalBounds;
}

/**
 * Patch queries after encoder layer `layer`: each patch's bytes are max-pooled to k queries, which attend to these bytes.
 * @param bytes [B, C] states after the layer   @param before the queries after the layer before, if it made any   @returns [P*k, C]
 */
export function patchQueries(
  p: LocalEncoderParams,
  layer: number,
  bytes: Tensor,
  before: Tensor | null,
  { starts, bounds }: BytesOfPatches,
  config: BltConfig,
  dropout?: Dropout,
): Tensor {
  const c = config.encoder;
  const pooled = () =>
    reshape(linear(segmentMax(bytes, starts), p.patch_embedding_projection.weight), [
      (starts.size - 1) * config.crossAttnK,
      c.hiddenSize,
    ]);
  // The one place where the public implementations differ in form: `facebook` keeps refining the first queries.
  const queries = before === null || config.behaviour === 'huggingface' ? pooled() : before;
  const cross = p.cross_attn_layers[c.crossAttnAllLayers ? layer : 0];
  return crossAttention(cross, queries, bytes, bounds, c, dropout);
}

/**
 * Local encoder: blocks over bytes; after the last one (or after each) the patches are pooled from them.
 * @param x [B, C] embedded bytes
 * @returns bytes [B, C] (the decoder starts from them) and patches [P, k*C]
 */
export function localEncoder(
  p: LocalEncoderParams,
  x: Tensor,
  batch: BltBatch,
  config: BltConfig,
  dropout?: Dropout,
): { bytes: Tensor; patches: Tensor } {
  const c = config.encoder;
  const patches = { starts: batch.patchStarts, bounds: batch.encoderCross };
  let h = x;
  let queries: Tensor | null = null; // [P*k, C]
  p.layers.forEach((layer, i) => {
    h = transformerBlock(layer, h, batch.encoder, c, dropout);
    const last = i === p.layers.length - 1;
    if (last || c.crossAttnAllLayers) queries = patchQueries(p, i, h, queries, patches, config, dropout);
  });
  return { bytes: h, patches: reshape(queries!, [batch.layout.patches, config.crossAttnK * c.hiddenSize]) };
}

/** Patches as the global blocks take them: [P, k*C] -> [P, global width], unchanged where these widths are equal. */
export function patchTokens(
  { token_embedding_projection: projection }: GlobalTransformerParams,
  patches: Tensor,
): Tensor {
  return projection ? linear(patches, projection.weight) : patches;
}

/** Global latent transformer over patches: [P, k*C] -> [P, global width]. There is no final norm. */
export function globalTransformer(
  p: GlobalTransformerParams,
  patches: Tensor,
  batch: BltBatch,
  config: BltConfig,
  dropout?: Dropout,
): Tensor {
  return transformerStack(p.layers, patchTokens(p, patches), batch.global, config.global, dropout);
}

/** The k rows of each patch that the decoder's bytes attend to: [P, global width] -> [P*k, C]. */
export function patchesAsRows(p: LocalDecoderParams, patches: Tensor, { crossAttnK: k, decoder }: BltConfig): Tensor {
  return reshape(linear(patches, p.patch_embedding_projection.weight), [patches.shape[0] * k, decoder.hiddenSize]);
}

/** Positions and intervals of the decoder's bytes: which bytes they see, and which rows of patches. */
export interface DecoderContext {
  readonly local: StackContext;
  readonly cross: IntervalBounds;
}

/**
 * The decoder's layers. Each is a cross-attention to the k rows of the newest finished patch, followed by a transformer block. Without
 * `crossAttnAllLayers` only layer 0 has the cross-attention.
 * @param bytes [B, C]   @param patches keys and values of a layer's cross-attention, over all patches
 * @param caches while decoding: one for each block   @returns [B, C]
 */
export function decoderLayers(
  p: LocalDecoderParams,
  bytes: Tensor,
  patches: (layer: number) => KeysAndValues,
  { local, cross }: DecoderContext,
  config: BltConfig,
  dropout?: Dropout,
  caches?: readonly AttentionCache[],
): Tensor {
  const c = config.decoder;
  let h = bytes;
  p.layers.forEach((layer, i) => {
    if (i === 0 || c.crossAttnAllLayers) {
      const states = h;
      h = scope(() => crossAttend(p.cross_attn_layers[i], states, patches(i), cross, c, dropout));
    }
    h = transformerBlock(layer, h, local, c, dropout, caches?.[i]);
  });
  return h;
}

/**
 * Local decoder: from the encoder's byte states and the patches to the states that predict the next byte.
 * @param bytes [B, C]   @param patches [P, global width]   @returns normalised states [B, C]
 */
export function localDecoder(
  p: LocalDecoderParams,
  bytes: Tensor,
  patches: Tensor,
  batch: BltBatch,
  config: BltConfig,
  dropout?: Dropout,
): Tensor {
  const c = config.decoder;
  const rows = patchesAsRows(p, patches, config);
  const keysAndValues = (layer: number) => crossKeysAndValues(p.cross_attn_layers[layer], rows, c);
  const at = { local: batch.decoder, cross: batch.decoderCross };
  const h = decoderLayers(p, bytes, keysAndValues, at, config, dropout);
  return rmsNorm(h, p.norm.weight, c.rmsNormEps);
}

/** Next-byte logits of the whole model: [B, vocab]. */
export function bltLogits(p: BltParams, batch: BltBatch, config: BltConfig, dropout?: Dropout): Tensor {
  const embedded = embedBytes(p, batch, dropout);
  const x = dropout?.embedding(embedded) ?? embedded;
  const { bytes, patches } = localEncoder(p.model.local_encoder, x, batch, config, dropout);
  const global = globalTransformer(p.model.global_transformer, patches, batch, config, dropout);
  const states = localDecoder(p.model.local_decoder, bytes, global, batch, config, dropout);
  return linear(dropout?.output(states) ?? states, p.lm_head.weight);
}

/** Cross-entropy of each byte's prediction, in nats: [B]. targets [B] are the bytes that follow. */
export function bltLosses(
  p: BltParams,
  batch: BltBatch,
  targets: Int32Array,
  config: BltConfig,
  dropout?: Dropout,
): Tensor {
  const logits = bltLogits(p, batch, config, dropout);
  return crossEntropy(logits, tensor(targets, undefined, { backend: logits.backend }));
}
