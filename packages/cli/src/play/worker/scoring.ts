/**
 * @file Entropies of a text that is being edited. A prediction sees the bytes before it, and through L layers of a window of W bytes
 * at most L (W - 1) of them: after an edit only the bytes it can reach are computed again.
 */
import { byteBatch, encode, entropyModelLogits, entropyOfLogits } from '@blt-ts/blt';
import { type Ledger, release, scope, withLedger } from '@blt-ts/tensor';
import type { EntropyModel } from './entropy-file.ts';

export interface EntropyScores {
  /** Nats; entropies[i] is that of the prediction of byte i (made after BOS and the bytes before it). */
  readonly entropies: Float32Array;
  /** Positions that were computed anew, context included. */
  readonly rescored: number;
}

/** Length of the longest common start. */
export function commonStart(a: Int32Array, b: Int32Array): number {
  const n = Math.min(a.length, b.length);
  let i = 0;
  while (i < n && a[i] === b[i]) i++;
  return i;
}

/** Length of the longest common end that leaves `start` elements of both alone. */
export function commonEnd(a: Int32Array, b: Int32Array, start: number): number {
  const n = Math.min(a.length, b.length) - start;
  let i = 0;
  while (i < n && a[a.length - 1 - i] === b[b.length - 1 - i]) i++;
  return i;
}

interface Chunk {
  readonly ids: Int32Array;
  readonly entropies: Float32Array;
}

export class EntropyScorer {
  readonly model: EntropyModel;
  /** Kernels of the last scoring that computed something. */
  ledger: Ledger = new Map();
  private chunks: Chunk[] = [];

  constructor(model: EntropyModel) {
    this.model = model;
  }

  /** As `scoreEntropies` of BOS and the bytes, up to the rounding of the positions' angles. */
  async score(bytes: Uint8Array): Promise<EntropyScores> {
    const ids = encode(bytes, { bos: true, eos: false });
    const size = this.model.config.maxPositionEmbeddings;
    const all = new Float32Array(ids.length);
    const chunks: Chunk[] = [];
    let rescored = 0;
    for (let at = 0; at < ids.length; at += size) {
      const piece = ids.subarray(at, at + size);
      const old = this.chunks[chunks.length] ?? { ids: new Int32Array(0), entropies: new Float32Array(0) };
      const { chunk, computed } = await this.update(old, piece);
      chunks.push(chunk);
      all.set(chunk.entropies, at);
      rescored += computed;
    }
    this.chunks = chunks;
    return { entropies: all.slice(0, bytes.length), rescored };
  }

  private async update(old: Chunk, ids: Int32Array): Promise<{ chunk: Chunk; computed: number }> {
    const n = ids.length;
    const { window, config } = this.model;
    const reach = window === null ? Number.POSITIVE_INFINITY : config.numHiddenLayers * (window - 1);
    const start = commonStart(old.ids, ids);
    const end = commonEnd(old.ids, ids, start);
    // The end is the same text, but what reaches back over the edit is predicted from other bytes.
    const until = Math.min(n, n - end + reach);
    const entropies = new Float32Array(n);
    entropies.set(old.entropies.subarray(0, start));
    if (until < n) entropies.set(old.entropies.subarray(old.entropies.length - (n - until)), until);
    if (start >= until) return { chunk: { ids, entropies }, computed: 0 };
    const from = Math.max(0, start - reach);
    const fresh = await this.compute(ids.subarray(from, until));
    entropies.set(fresh.subarray(start - from), start);
    return { chunk: { ids, entropies }, computed: until - from };
  }

  private async compute(ids: Int32Array): Promise<Float32Array> {
    const { params, config, window, documents } = this.model;
    const { backend } = params.lm_head.weight;
    const { result, ledger } = withLedger(() =>
      scope(() =>
        entropyOfLogits(entropyModelLogits(params, byteBatch([ids], config, { window, documents, backend }), config)),
      ),
    );
    this.ledger = ledger;
    const values = (await result.read()) as Float32Array;
    release(result);
    return values;
  }
}
