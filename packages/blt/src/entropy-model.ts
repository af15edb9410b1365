/** @file The entropy model: a small byte language model whose uncertainty decides where patches begin. */
import { exp, gatherRows, linear, logSoftmax, mul, neg, rmsNorm, sum } from '@blt-ts/autograd';
import { type Backend, scope, type Tensor } from '@blt-ts/tensor';
import { type ByteBatch, byteBatch } from './batch.ts';
import type { TransformerConfig } from './config.ts';
import { transformerStack } from './layers.ts';
import { checkEntropies } from './non-finite.ts';
import type { EntropyModelParams } from './parameters.ts';
import { type Reading, resultLater, resultNow } from './reading.ts';
import type { Dropout } from './regularization.ts';

/** Next-byte logits: [B, vocab]. Embedding, blocks, final norm, untied output layer. */
export function entropyModelLogits(
  p: EntropyModelParams,
  batch: ByteBatch,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  const x = gatherRows(p.embed_tokens.weight, batch.ids);
  const h = transformerStack(p.layers, dropout?.embedding(x) ?? x, batch.local, c, dropout);
  const states = rmsNorm(h, p.norm.weight, c.rmsNormEps);
  return linear(dropout?.output(states) ?? states, p.lm_head.weight);
}

/** Entropy of each row's softmax, in nats: logits [n, V] -> [n], H = -sum_v p_v ln p_v. Uniform over V: ln V. */
export function entropyOfLogits(logits: Tensor): Tensor {
  const logP = logSoftmax(logits);
  return neg(sum(mul(exp(logP), logP), { axes: -1 }));
}

export interface ScoringOptions {
  /** Bytes the model looks back (null: no limit). */
  window: number | null;
  /** Nothing is seen across an EOS. */
  documents: boolean;
  backend?: Backend;
  /** Bytes scored at once (memory). */
  batchBytes?: number;
  onProgress?: (bytes: number) => void;
}

/** @internal `scoreEntropies` as a computation that asks for the values of each batch. */
export function* scoringEntropies(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  { window, documents: bounded, backend, batchBytes = 8192, onProgress }: ScoringOptions,
): Reading<Float32Array[]> {
  const results = documents.map((d) => new Float32Array(d.length));
  let rows: { ids: Int32Array; document: number; at: number }[] = [];
  let pending = 0;
  let done = 0;
  function* flush(): Reading<void> {
    if (rows.length === 0) return;
    const entropies = yield scope(() => {
      const batch = byteBatch(
        rows.map((r) => r.ids),
        c,
        { window, documents: bounded, backend },
      );
      return entropyOfLogits(entropyModelLogits(p, batch, c));
    });
    checkEntropies(entropies);
    let offset = 0;
    for (const { ids, document, at } of rows) {
      results[document].set(entropies.subarray(offset, offset + ids.length), at);
      offset += ids.length;
    }
    done += pending;
    onProgress?.(done);
    rows = [];
    pending = 0;
  }
  for (const [document, ids] of documents.entries()) {
    for (let at = 0; at < ids.length; at += c.maxPositionEmbeddings) {
      const chunk = ids.subarray(at, at + c.maxPositionEmbeddings);
      if (pending + chunk.length > batchBytes) yield* flush();
      rows.push({ ids: chunk, document, at });
      pending += chunk.length;
    }
  }
  yield* flush();
  return results;
}

/**
 * Entropies of each document's next-byte predictions, in nats: entropies[i] = H of the prediction made at position i.
 * Documents are scored one by one, apart from each other; longer ones than the model's context are cut into chunks, each
 * starting afresh (as the released training data was made).
 * @throws NonFiniteError if an entropy is not a number, because the weights are broken; Error on a backend whose values must be waited for: use `scoreEntropiesAsync`
 */
export function scoreEntropies(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: ScoringOptions,
): Float32Array[] {
  return resultNow(scoringEntropies(p, documents, c, options));
}

/** `scoreEntropies` on any backend. */
export function scoreEntropiesAsync(
  p: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: ScoringOptions,
): Promise<Float32Array[]> {
  return resultLater(scoringEntropies(p, documents, c, options));
}
