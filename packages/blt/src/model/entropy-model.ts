/** @file The entropy model: a small byte language model whose uncertainty decides where patches begin. */
import { exp, gatherRows, linear, logSoftmax, mul, neg, rmsNorm, sum } from '@blt-ts/autograd';
import { type Backend, scope, type Tensor } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import { runAsync, runSync, type WithReadback } from '../readback.ts';
import { type ByteBatch, byteBatch } from './batch.ts';
import type { TransformerConfig } from './config.ts';
import type { Dropout } from './dropout.ts';
import { type AttentionCache, transformerStack } from './layers.ts';
import type { EntropyModelParams } from './parameters.ts';

/**
 * Next-byte logits: [B, vocab]. Embedding, blocks, final norm, untied output layer.
 * @param caches while decoding: one for each block
 */
export function entropyModelLogits(
  p: EntropyModelParams,
  batch: Pick<ByteBatch, 'ids' | 'local'>,
  c: TransformerConfig,
  dropout?: Dropout,
  caches?: readonly AttentionCache[],
): Tensor {
  const x = gatherRows(p.embed_tokens.weight, batch.ids);
  const h = transformerStack(p.layers, dropout?.embedding(x) ?? x, batch.local, c, dropout, caches);
  const states = rmsNorm(h, p.norm.weight, c.rmsNormEps);
  return linear(dropout?.output(states) ?? states, p.lm_head.weight);
}

/** Entropy of each row's softmax, in nats: logits [n, V] -> [n], H = -sum_v p_v ln p_v. Uniform over V: ln V. */
export function entropyOfLogits(logits: Tensor): Tensor {
  const logP = logSoftmax(logits);
  return neg(sum(mul(exp(logP), logP), { axes: -1 }));
}

/**
 * Checks entropies before patches are cut by them. Every comparison with NaN is false, so otherwise a whole text would silently become
 * one patch.
 * @throws NonFiniteError with the first value that is not finite
 */
export function checkEntropies(entropies: ArrayLike<number>): void {
  for (let i = 0; i < entropies.length; i++) {
    if (!Number.isFinite(entropies[i])) {
      throw new NonFiniteError(
        `an entropy of the entropy model is ${entropies[i]}; its weights are broken, take an earlier checkpoint`,
      );
    }
  }
}

/** How the entropy model reads documents. */
export interface ScoringOptions {
  /** Bytes the model looks back (null: no limit). */
  window: number | null;
  /** Nothing is seen across an EOS. */
  documents: boolean;
  backend?: Backend;
  /** Bytes scored at once (default 8192): more take more memory. */
  batchBytes?: number;
  /** Called after each batch with the bytes scored so far. */
  onProgress?: (bytes: number) => void;
}

/** A piece of a document that the entropy model reads at once, from position `at` on. */
export interface ScoringRow {
  readonly ids: Int32Array;
  /** Index of the document. */
  readonly document: number;
  readonly at: number;
}

/**
 * Documents cut into pieces no longer than the model's context, in batches of about `batchBytes` bytes. Each piece is read afresh.
 * The batches depend on the documents alone, so that scoring that was interrupted goes on with the same bits.
 */
export function* scoringBatches(
  documents: readonly Int32Array[],
  c: TransformerConfig,
  batchBytes = 8192,
): Generator<ScoringRow[]> {
  let rows: ScoringRow[] = [];
  let size = 0;
  for (const [document, ids] of documents.entries()) {
    for (let at = 0; at < ids.length; at += c.maxPositionEmbeddings) {
      const piece = ids.subarray(at, at + c.maxPositionEmbeddings);
      if (rows.length > 0 && size + piece.length > batchBytes) {
        yield rows;
        rows = [];
        size = 0;
      }
      rows.push({ ids: piece, document, at });
      size += piece.length;
    }
  }
  if (rows.length > 0) yield rows;
}

/** Entropies of the predictions made at each position of a batch, nats: [sum of the rows' lengths]. */
export function batchEntropies(
  p: EntropyModelParams,
  rows: readonly ScoringRow[],
  c: TransformerConfig,
  { window, documents, backend }: ScoringOptions,
): Tensor {
  return scope(() => {
    const batch = byteBatch(
      rows.map((r) => r.ids),
      c,
      { window, documents, backend },
    );
    return entropyOfLogits(entropyModelLogits(p, batch, c));
  });
}

/** @internal `scoreEntropies` as a computation that asks for the values of each batch. */
export function* scoreEntropiesSteps(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: ScoringOptions,
): WithReadback<Float32Array[]> {
  const results = documents.map((d) => new Float32Array(d.length));
  let done = 0;
  for (const rows of scoringBatches(documents, c, options.batchBytes)) {
    const entropies = yield batchEntropies(p, rows, c, options);
    checkEntropies(entropies);
    let offset = 0;
    for (const { ids, document, at } of rows) {
      results[document].set(entropies.subarray(offset, offset + ids.length), at);
      offset += ids.length;
    }
    done += offset;
    options.onProgress?.(done);
  }
  return results;
}

/**
 * Entropies of each document's next-byte predictions, in nats: entropies[i] = H of the prediction made at position i.
 * Documents are scored one by one, apart from each other; longer ones than the model's context are cut into chunks, each
 * starting afresh (as the released training data was made).
 * @throws NonFiniteError if an entropy is not a number, because the weights are broken; Error on a backend whose values must be waited
 *   for: use `scoreEntropiesAsync`
 */
export function scoreEntropies(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: ScoringOptions,
): Float32Array[] {
  return runSync(scoreEntropiesSteps(p, documents, c, options));
}

/** `scoreEntropies` on any backend. `pause` is awaited after each batch, and what it throws ends the scoring. */
export function scoreEntropiesAsync(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  { pause, ...options }: ScoringOptions & { readonly pause?: () => Promise<void> },
): Promise<Float32Array[]> {
  return runAsync(scoreEntropiesSteps(p, documents, c, options), pause);
}
