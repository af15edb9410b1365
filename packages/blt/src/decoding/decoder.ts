/**
 * @file Incremental decoding: a byte costs one step of the entropy model, the encoder and the decoder; a PATCH costs one step of the
 * global model. The logits are those of `bltLogits` on the whole text.
 *
 * For every byte i: (1) the entropy model's step gives H[i]; (2) the encoder's step gives h_i, which joins the open patch; (3) if the
 * next byte starts a new patch, the open one is finished: its bytes are pooled to k queries that attend to them, and the global model
 * takes ONE step, whose output becomes k rows o; (4) the decoder's step looks at o and gives the logits of byte i+1.
 * Several bytes at once (a prompt) do the same in parallel, and so do several texts of different lengths, laid end to end.
 */
import {
  add,
  concat,
  embeddingBag,
  gatherRows,
  type IntervalBounds,
  linear,
  reshape,
  rmsNorm,
  segmentMax,
} from '@blt-ts/autograd';
import { type Backend, forEachTensor, release, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { ropeTable } from '../batch.ts';
import { type BltConfig, layoutOptions, type TransformerConfig } from '../config.ts';
import { entropyOfLogits } from '../entropy-model.ts';
import type { Checkpoint } from '../huggingface.ts';
import { crossAttention } from '../layers.ts';
import { type Reading, resultLater, resultNow } from '../reading.ts';
import { type ByteStep, byteStep, type Standing } from './byte-step.ts';
import {
  type CachedContext,
  cachedBlock,
  cachedStack,
  crossAttend,
  crossKeysAndValues,
  type KeyValueCache,
  keyValueWidth,
  stackCaches,
} from './cached-layers.ts';
import { GlobalStages } from './global-stages.ts';
import { type Cache, ints, SlotCache, writeRows } from './slot-cache.ts';
import {
  type BoundaryDecision,
  boundaryDecision,
  EMPTY_TEXT,
  type FinishedPatch,
  readId,
  type TextState,
} from './text-state.ts';

export interface DecoderOptions {
  /** Number of texts decoded side by side (default 1). */
  readonly texts?: number;
  /** Bytes of a prompt read at once (memory; default 1024). */
  readonly chunkBytes?: number;
  /**
   * Reads rows of the fused hash table, [rows.length, local width], for checkpoints whose table is not in memory
   * (`params.model.encoder_hash_tok_embedding` absent).
   */
  readonly hashRows?: HashRows;
}

/** Rows of the fused hash table, one after the other. */
export type HashRows = (rows: Int32Array) => Float32Array;

/** One pass over new bytes, before it is decided how many of them stay. */
interface Pass {
  readonly step: ByteStep;
  /** [texts][bytes of the text] state after each byte */
  readonly states: TextState[][];
  readonly entropies: Float32Array | null;
  /** Patches finished in this pass, text after text, and how many there are up to each byte of the step. */
  readonly finished: { text: number; patch: FinishedPatch }[];
  readonly finishedUpTo: Int32Array;
}

type KeysAndValues = readonly [Tensor, Tensor];

export class Decoder {
  readonly config: BltConfig;
  readonly texts: number;
  /** Steps of the global model so far: one for every patch finished. */
  globalSteps = 0;
  /** Bytes that went through the local models, drafts not counted. */
  byteSteps = 0;
  private readonly checkpoint: Checkpoint;
  private readonly backend: Backend;
  private readonly chunkBytes: number;
  private readonly hashRows: HashRows | null;
  private readonly decision: BoundaryDecision;
  private readonly ids: number[][];
  private readonly lengths: number[][];
  private states: TextState[];
  /** Positions in bytes: keys and values of the three local stacks, and encoder states. */
  private readonly byteSlots: SlotCache;
  private readonly patcherCaches: KeyValueCache[];
  private readonly encoderCaches: KeyValueCache[];
  private readonly decoderCaches: KeyValueCache[];
  /** States after each encoder layer that is followed by a cross-attention that counts. */
  private readonly encoderStates: { layer: number; cache: Cache }[];
  private readonly globalStages: GlobalStages;
  /** Keys and values of the newest finished patch of each text, k rows each, for every cross-attention of the decoder. */
  private readonly newest: SlotCache;
  private readonly newestCaches: KeyValueCache[];
  private readonly latestEntropy: Float32Array;

  /** A pass waits for values from a device. */
  private waiting = false;

  constructor(checkpoint: Checkpoint, { texts = 1, chunkBytes = 1024, hashRows }: DecoderOptions = {}) {
    const { config, params } = checkpoint;
    if (!Number.isInteger(texts) || texts < 1) throw new RangeError(`Decoder: texts must be at least 1, got ${texts}`);
    if (!Number.isInteger(chunkBytes) || chunkBytes < 1) {
      throw new RangeError(`Decoder: chunkBytes must be at least 1, got ${chunkBytes}`);
    }
    this.backend = params.lm_head.weight.backend;
    this.checkpoint = checkpoint;
    this.config = config;
    this.texts = texts;
    this.chunkBytes = chunkBytes;
    this.hashRows = hashRows ?? null;
    if (!this.hashRows && !params.model.encoder_hash_tok_embedding && config.hash.groupSizes.length > 0) {
      throw new Error('Decoder: the hash tables are not in memory; give hashRows, which reads rows of them');
    }
    this.decision = boundaryDecision(config.patching, layoutOptions(config).documents);
    this.ids = Array.from({ length: texts }, () => []);
    this.lengths = Array.from({ length: texts }, () => []);
    this.states = Array.from({ length: texts }, () => EMPTY_TEXT);
    this.latestEntropy = new Float32Array(texts);
    const { encoder, decoder, global } = config;
    this.byteSlots = new SlotCache(texts, this.backend);
    this.patcherCaches = config.patching.mode === 'entropy' ? stackCaches(config.patcher!, this.byteSlots) : [];
    this.encoderCaches = stackCaches(encoder, this.byteSlots);
    this.decoderCaches = stackCaches(decoder, this.byteSlots);
    // With `huggingface` every layer pools anew, so only the last one's cross-attention reaches the output.
    const refines = encoder.crossAttnAllLayers && config.behaviour === 'facebook';
    this.encoderStates = Array.from({ length: encoder.numHiddenLayers }, (_, layer) => layer)
      .filter((layer) => refines || layer === encoder.numHiddenLayers - 1)
      .map((layer) => ({ layer, cache: this.byteSlots.add(encoder.hiddenSize) }));
    this.globalStages = new GlobalStages(params.model.global_transformer.layers, global, texts);
    this.newest = new SlotCache(texts, this.backend);
    this.newestCaches = params.model.local_decoder.cross_attn_layers.map(() => ({
      keys: this.newest.add(keyValueWidth(decoder)),
      values: this.newest.add(keyValueWidth(decoder)),
    }));
    const none = this.states.map(() => 0);
    this.newest.reserve(none.map(() => config.crossAttnK), none, none); // biome-ignore format: one line
  }

  /** Ids of a text read so far, specials included. */
  length(text = 0): number {
    return this.states[text].length;
  }

  /** Lengths of the finished patches of a text, in bytes. */
  patchLengths(text = 0): readonly number[] {
    return this.lengths[text];
  }

  /** Entropy of the newest prediction of the patcher, nats; 0 where patches do not need entropies. */
  entropy(text = 0): number {
    return this.latestEntropy[text];
  }

  /**
   * Reads more ids of each text and returns the logits of what follows: [vocab] for the byte after the last one, or with
   * `all` [ids, vocab] for the byte after each. A text that gets no ids gets no logits (an empty array).
   * @throws ConfigError if a text gets longer than the model takes, Error on a backend whose values must be waited for
   */
  feed(rows: readonly ArrayLike<number>[], options: { all?: boolean } = {}): Float32Array[] {
    return resultNow(this.feeding(rows, options));
  }

  /** `feed` on any backend. One at a time: await it before the next. */
  feedAsync(rows: readonly ArrayLike<number>[], options: { all?: boolean } = {}): Promise<Float32Array[]> {
    return resultLater(this.feeding(rows, options));
  }

  /** @internal `feed` as a computation that asks for values. */
  *feeding(rows: readonly ArrayLike<number>[], { all = false }: { all?: boolean } = {}): Reading<Float32Array[]> {
    if (rows.length !== this.texts) {
      throw new RangeError(`feed: one row of ids for each of ${this.texts} texts is needed, got ${rows.length}`);
    }
    const V = this.config.vocabSize;
    const logits: Float32Array[] = rows.map((row) => new Float32Array(row.length === 0 ? 0 : all ? row.length * V : V));
    const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
    const chunk = Math.max(1, Math.floor(this.chunkBytes / this.texts));
    for (let at = 0; at < longest; at += chunk) {
      const part = rows.map((row) => Array.prototype.slice.call(row, at, at + chunk) as number[]);
      yield* this.pass(part, all, (found, r, count) => {
        if (count === 0) return 0;
        if (all) logits[r].set(found, at * V);
        else logits[r].set(found);
        return count;
      });
    }
    return logits;
  }

  /**
   * Reads ids of text 0 in one pass but keeps only as many as `accept` says when shown the logits after each: the rest is as if it
   * had never been read.
   */
  *verify(ids: readonly number[], accept: (logits: Float32Array) => number): Reading<void> {
    yield* this.pass([ids], true, (logits) => accept(logits));
  }

  /** Room for so many more bytes of each text, so that `draft` and `verify` do not move the caches. */
  reserve(bytes: number): void {
    this.reserveBytes(this.states.map(() => bytes));
  }

  /**
   * Logits of text 0 after `pending` ids that have not been read, as the local models alone give them: they go on looking at the
   * newest finished patch, whatever the entropy model says. Only the last id is computed, call it once for each.
   */
  *draft(pending: readonly number[]): Reading<Float32Array> {
    return yield scope(() => {
      const before = [{ ...this.states[0], ids: [...this.ids[0], ...pending.slice(0, -1)] }];
      const step = byteStep([pending.slice(-1)], before, this.byteSlots, this.config, this.backend);
      const h = this.encode(step);
      return this.output(this.decode(step, h, this.newestKeysAndValues(), this.boundsInNewest(step)));
    });
  }

  /** Gives the memory back at once; otherwise the garbage collector does, later. */
  release(): void {
    this.byteSlots.release();
    this.globalStages.release();
    this.newest.release();
  }

  private reserveBytes(more: readonly number[]): void {
    const { window } = layoutOptions(this.config);
    this.byteSlots.reserve(
      this.states.map((s, r) => s.length + more[r]),
      this.states.map((s) => {
        const seen = window === null ? s.documentStart : Math.max(s.documentStart, s.length - window + 1);
        return Math.min(seen, s.patchStart);
      }),
      this.states.map((s) => s.length),
    );
  }

  private *pass(
    rows: readonly (readonly number[])[],
    all: boolean,
    accept: (logits: Float32Array, text: number, count: number) => number,
  ): Reading<void> {
    if (this.waiting) throw new Error('Decoder: it is still reading the ids given before; await that first');
    this.waiting = true;
    const held: unknown[] = [];
    try {
      this.reserveBytes(rows.map((row) => row.length));
      const before = this.states.map((s, r) => ({ documentStart: s.documentStart, ids: this.ids[r] }));
      const asked = scope(() => {
        const step = byteStep(rows, before, this.byteSlots, this.config, this.backend);
        return { step, entropies: step.patcher ? this.entropiesOf(step) : null };
      });
      held.push(asked.step);
      const pass = this.readIds(asked.step, asked.entropies ? yield asked.entropies : null);
      const { fresh, wanted } = scope(() => this.compute(pass, rows, all));
      held.push(fresh);
      const logits = yield wanted;
      const V = this.config.vocabSize;
      let at = 0;
      const counts = rows.map((row, r) => {
        const n = all ? row.length : Math.min(1, row.length);
        const count = accept(logits.subarray(at * V, (at + n) * V), r, row.length);
        at += n;
        return count;
      });
      if (fresh && rows.some((row) => row.length > 1)) scope(() => this.keepNewest(pass, fresh, counts));
      this.commit(pass, rows, counts);
    } finally {
      forEachTensor(held, release);
      this.waiting = false;
    }
  }

  /** Logits of the new bytes (`all`) or of each text's last, and the decoder's keys and values of the patches finished. */
  private compute(
    pass: Pass,
    rows: readonly (readonly number[])[],
    all: boolean,
  ): { fresh: KeysAndValues[] | null; wanted: Tensor } {
    const { step } = pass;
    const h = this.encode(step);
    const fresh = pass.finished.length > 0 ? this.finishPatches(pass) : null;
    let states: Tensor;
    if (rows.every((row) => row.length <= 1)) {
      if (fresh) this.keepNewest(pass, fresh, rows.map((row) => row.length)); // biome-ignore format: one line
      states = this.decode(step, h, this.newestKeysAndValues(), this.boundsInNewest(step));
    } else {
      const { sources, bounds } = this.visiblePatches(pass);
      const index = ints(sources, this.backend);
      const kv = this.newestKeysAndValues().map(([keys, values], layer): KeysAndValues => {
        if (!fresh) return [gatherRows(keys, index), gatherRows(values, index)];
        const [newKeys, newValues] = fresh[layer];
        return [gatherRows(concat([keys, newKeys]), index), gatherRows(concat([values, newValues]), index)];
      });
      states = this.decode(step, h, kv, bounds);
    }
    const asked = all ? null : rows.flatMap((row, r) => (row.length > 0 ? [step.starts[r + 1] - 1] : []));
    const wanted =
      asked === null || asked.length === step.bytes ? states : gatherRows(states, ints(asked, this.backend));
    return { fresh, wanted: this.output(wanted) };
  }

  private rope(c: TransformerConfig, at: Standing, slots: Tensor): CachedContext {
    const headDim = c.hiddenSize / c.numAttentionHeads;
    return { ...at, slots, rope: ropeTable(this.backend, c.ropeTheta, headDim, at.reach) };
  }

  /** One step of the entropy model: entropies [n] of the predictions after the new bytes, nats. */
  private entropiesOf(step: ByteStep): Tensor {
    const patcher = this.checkpoint.patcher!;
    const c = this.config.patcher!;
    const x = gatherRows(patcher.embed_tokens.weight, ints(step.ids, this.backend));
    const h = cachedStack(patcher.layers, x, this.rope(c, step.patcher!, step.slots), c, this.patcherCaches);
    return entropyOfLogits(linear(rmsNorm(h, patcher.norm.weight, c.rmsNormEps), patcher.lm_head.weight));
  }

  /** Where the new bytes end patches. */
  private readIds(step: ByteStep, entropies: Float32Array | null): Pass {
    const finished: Pass['finished'] = [];
    const finishedUpTo = new Int32Array(step.bytes);
    const states = this.states.map((before, text) => {
      const after: TextState[] = [];
      let state = before;
      for (let i = step.starts[text]; i < step.starts[text + 1]; i++) {
        // Boundaries are decided in float32, on every backend.
        const entropy = entropies ? Math.fround(entropies[i]) : 0;
        const next = readId(state, step.ids[i], entropy, this.decision);
        if (next.finished) finished.push({ text, patch: next.finished });
        finishedUpTo[i] = finished.length;
        state = next.state;
        after.push(state);
      }
      return after;
    });
    return { step, states, entropies, finished, finishedUpTo };
  }

  /** Byte states [n, C] of the encoder's last layer; they are kept for the patches they belong to. */
  private encode(step: ByteStep): Tensor {
    const { model } = this.checkpoint.params;
    const c = this.config.encoder;
    let h = gatherRows(model.local_encoder.embed_tokens.weight, ints(step.ids, this.backend));
    const table = model.encoder_hash_tok_embedding?.weight;
    if (step.hashIds) {
      const shape = [step.bytes, step.hashIds.length / step.bytes];
      const { backend } = this;
      if (table) h = add(h, embeddingBag(table, tensor(step.hashIds, shape, { backend })));
      else if (this.hashRows) {
        // Only the rows that these bytes name are here.
        const rows = tensor(this.hashRows(step.hashIds), [step.hashIds.length, c.hiddenSize], { backend });
        const places = tensor(Int32Array.from(step.hashIds.keys()), shape, { backend });
        h = add(h, embeddingBag(rows, places));
      }
    }
    const at = this.rope(c, step.local, step.slots);
    model.local_encoder.layers.forEach((layer, i) => {
      h = cachedBlock(layer, h, at, c, this.encoderCaches[i]);
      const kept = this.encoderStates.find((s) => s.layer === i);
      if (kept) writeRows(kept.cache, step.slots, h);
    });
    return h;
  }

  /** Finished patches through cross-attention and global model: keys and values [F * k, C] for each of the decoder's layers. */
  private finishPatches({ finished }: Pass): KeysAndValues[] {
    const { model } = this.checkpoint.params;
    const { config, backend } = this;
    const { encoder: c, crossAttnK: k } = config;
    const F = finished.length;
    const starts = new Int32Array(F + 1);
    finished.forEach(({ patch }, f) => {
      starts[f + 1] = starts[f] + patch.end - patch.start;
    });
    const bytes = new Int32Array(starts[F]);
    const [lo, hi] = [new Int32Array(F * k), new Int32Array(F * k)];
    let pairs = 0;
    finished.forEach(({ text, patch }, f) => {
      const first = this.byteSlots.slot(text, patch.start);
      for (let i = starts[f]; i < starts[f + 1]; i++) bytes[i] = first + i - starts[f];
      lo.fill(starts[f], f * k, (f + 1) * k);
      hi.fill(starts[f + 1], f * k, (f + 1) * k);
      pairs += k * (starts[f + 1] - starts[f]);
    });
    const bounds = { lo: ints(lo, backend), hi: ints(hi, backend), pairs };
    const [index, segments] = [ints(bytes, backend), ints(starts, backend)];
    let queries: Tensor | null = null; // [F*k, C]
    for (const { layer, cache } of this.encoderStates) {
      const states = gatherRows(cache.tensor, index);
      const p = model.local_encoder;
      const pooled = () =>
        reshape(linear(segmentMax(states, segments), p.patch_embedding_projection.weight), [F * k, c.hiddenSize]);
      const cross = p.cross_attn_layers[c.crossAttnAllLayers ? layer : 0];
      queries = crossAttention(cross, queries ?? pooled(), states, bounds, c);
    }
    return this.globalStep(finished, reshape(queries!, [F, k * c.hiddenSize]));
  }

  /** patches [F, k*C] -> the decoder's keys and values of them */
  private globalStep(finished: Pass['finished'], patches: Tensor): KeysAndValues[] {
    const { model } = this.checkpoint.params;
    const { decoder, crossAttnK: k } = this.config;
    const F = finished.length;
    const projection = model.global_transformer.token_embedding_projection?.weight;
    const x = projection ? linear(patches, projection) : patches;
    const out = this.globalStages.step(x, finished, this.states);
    this.globalSteps += F;
    const p = model.local_decoder;
    const o = reshape(linear(out, p.patch_embedding_projection.weight), [F * k, decoder.hiddenSize]);
    return p.cross_attn_layers.map((layer) => crossKeysAndValues(layer, o, decoder));
  }

  private decode(step: ByteStep, bytes: Tensor, kv: readonly KeysAndValues[], cross: IntervalBounds): Tensor {
    const p = this.checkpoint.params.model.local_decoder;
    const c = this.config.decoder;
    const at = this.rope(c, step.local, step.slots);
    let h = bytes;
    p.layers.forEach((layer, i) => {
      if (i === 0 || c.crossAttnAllLayers) h = crossAttend(p.cross_attn_layers[i], h, kv[i], cross, c);
      h = cachedBlock(layer, h, at, c, this.decoderCaches[i]);
    });
    return h;
  }

  private output(states: Tensor): Tensor {
    const { model, lm_head } = this.checkpoint.params;
    const normed = rmsNorm(states, model.local_decoder.norm.weight, this.config.decoder.rmsNormEps);
    return linear(normed, lm_head.weight);
  }

  private newestKeysAndValues(): KeysAndValues[] {
    return this.newestCaches.map(({ keys, values }) => [keys.tensor, values.tensor]);
  }

  /** Every new byte sees the k rows of its text's newest patch. */
  private boundsInNewest({ starts, bytes }: ByteStep): IntervalBounds {
    const k = this.config.crossAttnK;
    const [lo, hi] = [new Int32Array(bytes), new Int32Array(bytes)];
    for (let r = 0; r < this.texts; r++) {
      lo.fill(this.newest.slot(r, 0), starts[r], starts[r + 1]);
      hi.fill(this.newest.slot(r, 0) + k, starts[r], starts[r + 1]);
    }
    return { lo: ints(lo, this.backend), hi: ints(hi, this.backend), pairs: bytes * k };
  }

  /**
   * For several bytes of a text: the rows of its newest patch before the step, then of those finished in it, text after text.
   * `sources` are rows of [the newest caches, the new keys or values].
   */
  private visiblePatches({ step, finished, finishedUpTo }: Pass): { sources: number[]; bounds: IntervalBounds } {
    const k = this.config.crossAttnK;
    const sources: number[] = [];
    const [lo, hi] = [new Int32Array(step.bytes), new Int32Array(step.bytes)];
    const old = this.texts * this.newest.capacity;
    let f = 0;
    for (let r = 0; r < this.texts; r++) {
      const [carried, firstFresh] = [sources.length, f];
      for (let j = 0; j < k; j++) sources.push(this.newest.slot(r, j));
      for (; f < finished.length && finished[f].text === r; f++) {
        for (let j = 0; j < k; j++) sources.push(old + f * k + j);
      }
      for (let i = step.starts[r]; i < step.starts[r + 1]; i++) {
        lo[i] = carried + (finishedUpTo[i] - firstFresh) * k;
        hi[i] = lo[i] + k;
      }
    }
    const bounds = { lo: ints(lo, this.backend), hi: ints(hi, this.backend), pairs: step.bytes * k };
    return { sources, bounds };
  }

  /** The newest patch of each text, among those finished in its first `counts[r]` bytes, is what later bytes look at. */
  private keepNewest({ step, finished, finishedUpTo }: Pass, fresh: KeysAndValues[], counts: readonly number[]): void {
    const k = this.config.crossAttnK;
    const [from, to]: number[][] = [[], []];
    for (let r = 0; r < this.texts; r++) {
      if (counts[r] === 0) continue;
      const f = finishedUpTo[step.starts[r] + counts[r] - 1] - 1;
      if (f < 0 || finished[f].text !== r) continue;
      for (let j = 0; j < k; j++) {
        from.push(f * k + j);
        to.push(this.newest.slot(r, j));
      }
    }
    if (from.length === 0) return;
    const [index, slots] = [ints(from, this.backend), ints(to, this.backend)];
    const pick = (x: Tensor) => (from.length === x.shape[0] ? x : gatherRows(x, index));
    fresh.forEach(([keys, values], layer) => {
      writeRows(this.newestCaches[layer].keys, slots, pick(keys));
      writeRows(this.newestCaches[layer].values, slots, pick(values));
    });
  }

  private commit(
    { states, entropies, step, finished }: Pass,
    rows: readonly (readonly number[])[],
    counts: number[],
  ): void {
    counts.forEach((count, r) => {
      if (count === 0) return;
      this.states[r] = states[r][count - 1];
      this.ids[r].push(...rows[r].slice(0, count));
      this.latestEntropy[r] = entropies?.[step.starts[r] + count - 1] ?? 0;
      this.byteSteps += count;
    });
    for (const { text, patch } of finished) {
      if (patch.index < this.states[text].patches) this.lengths[text].push(patch.end - patch.start);
    }
  }
}
