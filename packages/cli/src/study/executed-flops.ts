/**
 * @file Forward FLOPs of a batch, from the number of its positions and of its pairs of query and key. They are exactly those of the ledger's
 * matrix products and attentions; lookups, norms and softmax are not counted, as in the paper.
 */
import type { BltBatch, BltConfig, TransformerConfig } from '@blt-ts/blt';

/** Projections of an attention: q queries and m rows of keys and values. */
function projections(c: TransformerConfig, queries: number, keys: number): number {
  const kv = (c.hiddenSize / c.numAttentionHeads) * c.numKeyValueHeads;
  return 4 * queries * c.hiddenSize ** 2 + 4 * keys * kv * c.hiddenSize;
}

/** Scores and weighted sums of pairs of query and key. */
const attention = (c: TransformerConfig, pairs: number): number => 4 * pairs * c.hiddenSize;

/** A stack of blocks over n positions, whose queries see so many keys together. */
export const stackFlops = (c: TransformerConfig, n: number, pairs: number): number =>
  c.numHiddenLayers * (projections(c, n, n) + attention(c, pairs) + 6 * n * c.hiddenSize * c.intermediateSize);

/** A token or byte transformer with its output layer. */
export const transformerForward = (c: TransformerConfig, vocab: number, n: number, pairs: number): number =>
  stackFlops(c, n, pairs) + 2 * n * c.hiddenSize * vocab;

/** A BLT, with cross-attentions or (`none`) with patches that are added to the bytes. */
export function patchModelForward(config: BltConfig, batch: BltBatch, crossAttention: 'all' | 'none'): number {
  const { encoder: e, decoder: d, global: g, crossAttnK: k, vocabSize } = config;
  const [n, P] = [batch.layout.bytes, batch.layout.patches];
  const [C, G] = [e.hiddenSize, g.hiddenSize];
  const widening = k * C === G ? 0 : 2 * P * k * C * G;
  const stacks =
    stackFlops(e, n, batch.encoder.bounds.pairs) +
    stackFlops(g, P, batch.global.bounds.pairs) +
    stackFlops(d, n, batch.decoder.bounds.pairs);
  const between = 2 * P * C * k * C + widening + 2 * P * G * k * C;
  const cross =
    crossAttention === 'none'
      ? 0
      : projections(e, P * k, n) +
        attention(e, batch.encoderCross.pairs) +
        d.numHiddenLayers * (projections(d, n, P * k) + attention(d, batch.decoderCross.pairs));
  return stacks + between + cross + 2 * n * C * vocabSize;
}
