/** @file The Byte Latent Transformer: bytes -> local encoder -> patches -> global transformer -> local decoder -> next byte. */
import {
  add,
  affine,
  crossEntropy,
  embeddingBag,
  gatherRows,
  linear,
  reshape,
  rmsNorm,
  segmentMax,
} from '@blt-ts/autograd';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import type { BltBatch } from './batch.ts';
import type { BltConfig } from './config.ts';
import type { Dropout } from './dropout.ts';
import { crossAttention, transformerBlock, transformerStack } from './layers.ts';
import type { BltParams, LocalDecoderParams, LocalEncoderParams } from './parameters.ts';

/**
 * Byte embedding plus the sum of the hash n-gram embeddings of every size and function: [B, C].
 * A plain sum: no scaling, no norm. @see Pagnoni et al. 2024, eq. 2-4 (the released code does not divide by 7)
 */
export function embedBytes(p: BltParams, batch: BltBatch, dropout?: Dropout): Tensor {
  return scope(() => {
    const bytes = gatherRows(p.model.local_encoder.embed_tokens.weight, batch.ids); // [B, C]
    const table = p.model.encoder_hash_tok_embedding?.weight;
    if (!table || !batch.hashIds) return bytes;
    const { ids, factor } = dropout?.hashRows(batch.hashIds) ?? { ids: batch.hashIds, factor: 1 };
    const shape = [batch.layout.bytes, batch.hashIds.length / batch.layout.bytes];
    const ngrams = embeddingBag(table, tensor(ids, shape, { backend: table.backend })); // [B, C]
    return add(bytes, factor === 1 ? ngrams : affine(ngrams, factor));
  });
}

/**
 * Local encoder: blocks over bytes; then each patch's bytes are max-pooled to k queries, which attend to these bytes.
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
  const { patches: P, k } = batch.layout;
  const pool = (h: Tensor): Tensor =>
    reshape(linear(segmentMax(h, batch.patchStarts), p.patch_embedding_projection.weight), [P * k, c.hiddenSize]);
  let h = x;
  let queries: Tensor | null = null; // [P*k, C]
  p.layers.forEach((layer, i) => {
    h = transformerBlock(layer, h, batch.encoder, c, dropout);
    const last = i === p.layers.length - 1;
    if (!last && !c.crossAttnAllLayers) return;
    // The one place where the public implementations differ in form: `facebook` keeps refining the first queries.
    const x = queries === null || config.behaviour === 'huggingface' ? pool(h) : queries;
    const layerParams = p.cross_attn_layers[c.crossAttnAllLayers ? i : 0];
    queries = crossAttention(layerParams, x, h, batch.encoderCross, c, dropout);
  });
  return { bytes: h, patches: reshape(queries!, [P, k * c.hiddenSize]) };
}

/**
 * Global latent transformer over patches: [P, k*C] -> [P, global width]. There is no final norm.
 */
export function globalTransformer(
  p: BltParams['model']['global_transformer'],
  patches: Tensor,
  batch: BltBatch,
  config: BltConfig,
  dropout?: Dropout,
): Tensor {
  const projection = p.token_embedding_projection?.weight;
  const x = projection ? linear(patches, projection) : patches;
  return transformerStack(p.layers, x, batch.global, config.global, dropout);
}

/**
 * Local decoder: from the encoder's byte states, each layer first attends to the k rows of the newest finished patch.
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
  const { patches: P, k } = batch.layout;
  const kv = reshape(linear(patches, p.patch_embedding_projection.weight), [P * k, c.hiddenSize]);
  let h = bytes;
  p.layers.forEach((layer, i) => {
    if (i === 0 || c.crossAttnAllLayers) {
      h = crossAttention(p.cross_attn_layers[i], h, kv, batch.decoderCross, c, dropout);
    }
    h = transformerBlock(layer, h, batch.decoder, c, dropout);
  });
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
