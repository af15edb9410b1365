/**
 * @file What decoding computes, as four computations on whole numbers: the ids, positions and cache rows of new bytes go in, entropies
 * and logits come out, and keys, values and states join the caches on the way.
 *
 * Each is a `Replay`: the kernels of a byte's step are the same for every byte, so they are recorded once. Which bytes and patches
 * there are, and what of them stays, is decided in decoder.ts.
 */
import {
  add,
  embeddingBag,
  gatherRows,
  type IntervalBounds,
  linear,
  type RopeTable,
  reshape,
  rmsNorm,
  segmentMax,
} from '@blt-ts/autograd';
import { type Backend, Replay, type ReplayInput, type Tensor } from '@blt-ts/tensor';
import type { Checkpoint } from '../checkpoints/huggingface.ts';
import { ropeTable } from '../model/batch.ts';
import type { BltConfig, TransformerConfig } from '../model/config.ts';
import { entropyOfLogits } from '../model/entropy-model.ts';
import { crossAttend, crossAttention, crossKeysAndValues } from '../model/layers.ts';
import { cachedBlock, cachedStack, type KeyValueCache, keyValueWidth, stackCaches } from './cached-layers.ts';
import { GlobalStages } from './global-stages.ts';
import type { FinishedPatch, TextState } from './patcher-state.ts';
import type { ByteStep, Standing } from './placement.ts';
import { type Cache, SlotCache, writeRows } from './slot-cache.ts';

/** Rows of the fused hash table, one after the other. */
export type HashRows = (rows: Int32Array) => Float32Array;

/** A patch that is finished, and the text it belongs to. */
export interface TextPatch {
  readonly text: number;
  readonly patch: FinishedPatch;
}

/** Steps of more bytes than this (prompts) are hardly of the same length twice. */
const MOST_RECORDED = 32;

/** Whom each of n rows sees, counted for the ledger. */
const bounds = (lo: Tensor, hi: Tensor, pairs: number): IntervalBounds => ({ lo, hi, pairs });

export class ModelSteps {
  readonly backend: Backend;
  /** Positions in bytes: keys and values of the three local stacks, and encoder states. */
  readonly byteSlots: SlotCache;
  /** Positions in patches, k rows each: keys and values of finished patches for every cross-attention of the decoder. */
  readonly patchSlots: SlotCache;
  private readonly config: BltConfig;
  private readonly checkpoint: Checkpoint;
  private readonly hashRows: HashRows | null;
  private readonly patcherCaches: KeyValueCache[];
  private readonly encoderCaches: KeyValueCache[];
  private readonly decoderCaches: KeyValueCache[];
  /** States after each encoder layer that is followed by a cross-attention that counts; the last layer's are among them. */
  private readonly encoderStates: { layer: number; cache: Cache }[];
  private readonly globalStages: GlobalStages;
  private readonly patchCaches: KeyValueCache[];
  /** The rotary tables of each stack, as recorded. */
  private readonly tables = new Map<TransformerConfig, RopeTable>();
  /** What the recordings know of the caches. */
  private recorded = '';
  private readonly entropyStep: Replay<Standing>;
  private readonly encoderStep: Replay<Standing>;
  private readonly patchStep: Replay<{ pairs: number; globalPairs: number }>;
  private readonly decoderStep: Replay<Standing>;

  constructor(checkpoint: Checkpoint, texts: number, hashRows: HashRows | null) {
    const { config, params } = checkpoint;
    const { encoder, decoder, global, patcher } = config;
    this.backend = params.lm_head.weight.backend;
    this.config = config;
    this.checkpoint = checkpoint;
    this.hashRows = hashRows;
    this.byteSlots = new SlotCache(texts, this.backend);
    this.patcherCaches = config.patching.mode === 'entropy' ? stackCaches(patcher!, this.byteSlots) : [];
    this.encoderCaches = stackCaches(encoder, this.byteSlots);
    this.decoderCaches = stackCaches(decoder, this.byteSlots);
    // With `huggingface` every layer pools anew, so only the last one's cross-attention reaches the output.
    const refines = encoder.crossAttnAllLayers && config.behaviour === 'facebook';
    this.encoderStates = Array.from({ length: encoder.numHiddenLayers }, (_, layer) => layer)
      .filter((layer) => refines || layer === encoder.numHiddenLayers - 1)
      .map((layer) => ({ layer, cache: this.byteSlots.add(encoder.hiddenSize) }));
    this.globalStages = new GlobalStages(params.model.global_transformer.layers, global, texts);
    this.patchSlots = new SlotCache(texts, this.backend);
    this.patchCaches = params.model.local_decoder.cross_attn_layers.map(() => ({
      keys: this.patchSlots.add(keyValueWidth(decoder)),
      values: this.patchSlots.add(keyValueWidth(decoder)),
    }));
    // A draft may look at a patch before there is one: then at zeros.
    const none = Array.from({ length: texts }, () => 0);
    this.patchSlots.reserve(none.map(() => config.crossAttnK), none, none); // biome-ignore format: one line
    const { backend } = this;
    this.entropyStep = new Replay(backend, (ins, at) => [this.entropiesOf(ins, at)]);
    this.encoderStep = new Replay(backend, (ins, at) => this.readBytes(ins, at));
    this.patchStep = new Replay(backend, (ins, counts) => this.readPatches(ins, counts));
    this.decoderStep = new Replay(backend, (ins, at) => [this.logitsOf(ins, at)]);
  }

  /** Entropies [n] of the predictions after the new bytes, nats. */
  entropies({ ids, slots, patcher }: ByteStep): Tensor {
    const { positions, lo, hi } = patcher!;
    this.prepare(this.config.patcher!, patcher!.reach);
    return this.entropyStep.run([ids, slots, positions, lo, hi], patcher!, ids.length > MOST_RECORDED)[0];
  }

  /** The new bytes go through the encoder; their states are kept for the patches they belong to. */
  encode({ ids, slots, hashIds, local }: ByteStep): void {
    const { positions, lo, hi, reach } = local;
    const values: ReplayInput[] = [ids, slots, positions, lo, hi];
    if (hashIds && this.hashRows) {
      // Only the rows that these bytes name are here.
      values.push(Int32Array.from(hashIds.keys()), this.hashRows(hashIds));
    } else if (hashIds) values.push(hashIds);
    this.prepare(this.config.encoder, reach);
    this.encoderStep.run(values, local, ids.length > MOST_RECORDED);
  }

  /**
   * Finished patches go through cross-attention and global model; the decoder's keys and values of them are kept.
   * @param states of the texts before these patches
   * @throws ConfigError if a text gets more patches than the model takes
   */
  finish(finished: readonly TextPatch[], states: readonly TextState[]): void {
    const k = this.config.crossAttnK;
    const F = finished.length;
    const ends = states.map((s) => s.patches);
    for (const { text, patch } of finished) ends[text] = patch.index + 1;
    // The newest patch so far is still looked at by bytes before the next one.
    this.patchSlots.reserve(
      ends.map((end) => end * k),
      states.map((s) => Math.max(0, s.patches - 1) * k),
      states.map((s) => s.patches * k),
    );
    const starts = new Int32Array(F + 1);
    finished.forEach(({ patch }, f) => {
      starts[f + 1] = starts[f] + patch.end - patch.start;
    });
    const bytes = new Int32Array(starts[F]);
    const [lo, hi, rows] = [new Int32Array(F * k), new Int32Array(F * k), new Int32Array(F * k)];
    let pairs = 0;
    finished.forEach(({ text, patch }, f) => {
      const first = this.byteSlots.slot(text, patch.start);
      for (let i = starts[f]; i < starts[f + 1]; i++) bytes[i] = first + i - starts[f];
      lo.fill(starts[f], f * k, (f + 1) * k);
      hi.fill(starts[f + 1], f * k, (f + 1) * k);
      for (let j = 0; j < k; j++) rows[f * k + j] = this.patchSlots.slot(text, patch.index * k + j);
      pairs += k * (starts[f + 1] - starts[f]);
    });
    const at = this.globalStages.place(finished, ends, states);
    this.prepare(this.config.global, at.reach);
    const values = [bytes, starts, lo, hi, rows, at.positions, at.slots, at.lo, at.hi];
    const once = bytes.length > MOST_RECORDED || !this.globalStages.areOn(this.backend);
    this.patchStep.run(values, { pairs, globalPairs: at.pairs }, once);
  }

  /**
   * Logits [n, vocab] after the new bytes; only those of the bytes `asked`, if given.
   * @param shown [n] the patch that each byte looks at
   */
  logits(step: ByteStep, shown: Int32Array, asked: Int32Array | null): Tensor {
    const { slots, starts, local } = step;
    const k = this.config.crossAttnK;
    const n = slots.length;
    const [crossLo, crossHi] = [new Int32Array(n), new Int32Array(n)];
    for (let r = 0; r + 1 < starts.length; r++) {
      for (let i = starts[r]; i < starts[r + 1]; i++) {
        crossLo[i] = this.patchSlots.slot(r, shown[i] * k);
        crossHi[i] = crossLo[i] + k;
      }
    }
    const values: ReplayInput[] = [slots, local.positions, local.lo, local.hi, crossLo, crossHi];
    if (asked && asked.length < n) values.push(asked);
    this.prepare(this.config.decoder, local.reach);
    return this.decoderStep.run(values, local, n > MOST_RECORDED)[0];
  }

  release(): void {
    this.forget();
    this.byteSlots.release();
    this.globalStages.release();
    this.patchSlots.release();
  }

  private forget(): void {
    for (const step of [this.entropyStep, this.encoderStep, this.patchStep, this.decoderStep]) step.forget();
  }

  /** Rotary positions up to `reach`. Recordings that know tensors which have been replaced since are dropped. */
  private prepare(c: TransformerConfig, reach: number): void {
    const table = ropeTable(this.backend, c.ropeTheta, c.hiddenSize / c.numAttentionHeads, reach);
    const caches = `${this.byteSlots.generation} ${this.patchSlots.generation} ${this.globalStages.generation}`;
    if (this.tables.get(c) === table && this.recorded === caches) return;
    this.forget();
    this.tables.set(c, table);
    this.recorded = caches;
  }

  private entropiesOf([ids, slots, positions, lo, hi]: Tensor[], { pairs }: Standing): Tensor {
    const patcher = this.checkpoint.patcher!;
    const c = this.config.patcher!;
    const at = { positions, slots, bounds: bounds(lo, hi, pairs), rope: this.tables.get(c)! };
    const x = gatherRows(patcher.embed_tokens.weight, ids);
    const h = cachedStack(patcher.layers, x, at, c, this.patcherCaches);
    return entropyOfLogits(linear(rmsNorm(h, patcher.norm.weight, c.rmsNormEps), patcher.lm_head.weight));
  }

  private readBytes([ids, slots, positions, lo, hi, hashIds, rows]: Tensor[], { pairs }: Standing): [] {
    const { model } = this.checkpoint.params;
    const c = this.config.encoder;
    let h = gatherRows(model.local_encoder.embed_tokens.weight, ids);
    if (hashIds) {
      const named = reshape(hashIds, [ids.size, hashIds.size / ids.size]);
      const table = rows ? reshape(rows, [hashIds.size, c.hiddenSize]) : model.encoder_hash_tok_embedding!.weight;
      h = add(h, embeddingBag(table, named));
    }
    const at = { positions, slots, bounds: bounds(lo, hi, pairs), rope: this.tables.get(c)! };
    model.local_encoder.layers.forEach((layer, i) => {
      h = cachedBlock(layer, h, at, c, this.encoderCaches[i]);
      const kept = this.encoderStates.find((s) => s.layer === i);
      if (kept) writeRows(kept.cache, slots, h);
    });
    return [];
  }

  /** bytes: cache rows, patch after patch, cut at `starts`; lo, hi [F * k] the same for queries; rows [F * k] to write to. */
  private readPatches(
    [bytes, starts, lo, hi, rows, positions, slots, globalLo, globalHi]: Tensor[],
    { pairs, globalPairs }: { pairs: number; globalPairs: number },
  ): [] {
    const { model } = this.checkpoint.params;
    const { encoder: c, decoder, global, crossAttnK: k } = this.config;
    const F = starts.size - 1;
    const p = model.local_encoder;
    let queries: Tensor | null = null; // [F*k, C]
    for (const { layer, cache } of this.encoderStates) {
      const states = gatherRows(cache.tensor, bytes);
      const pooled = () =>
        reshape(linear(segmentMax(states, starts), p.patch_embedding_projection.weight), [F * k, c.hiddenSize]);
      const cross = p.cross_attn_layers[c.crossAttnAllLayers ? layer : 0];
      queries = crossAttention(cross, queries ?? pooled(), states, bounds(lo, hi, pairs), c);
    }
    const patches = reshape(queries!, [F, k * c.hiddenSize]);
    const projection = model.global_transformer.token_embedding_projection?.weight;
    const x = projection ? linear(patches, projection) : patches;
    const at = { positions, slots, bounds: bounds(globalLo, globalHi, globalPairs), rope: this.tables.get(global)! };
    const out = this.globalStages.step(x, at);
    const d = model.local_decoder;
    const o = reshape(linear(out, d.patch_embedding_projection.weight), [F * k, decoder.hiddenSize]);
    d.cross_attn_layers.forEach((layer, i) => {
      const [keys, values] = crossKeysAndValues(layer, o, decoder);
      writeRows(this.patchCaches[i].keys, rows, keys);
      writeRows(this.patchCaches[i].values, rows, values);
    });
    return [];
  }

  private logitsOf([slots, positions, lo, hi, crossLo, crossHi, asked]: Tensor[], { pairs }: Standing): Tensor {
    const { model, lm_head } = this.checkpoint.params;
    const c = this.config.decoder;
    const p = model.local_decoder;
    const at = { positions, slots, bounds: bounds(lo, hi, pairs), rope: this.tables.get(c)! };
    const cross = bounds(crossLo, crossHi, slots.size * this.config.crossAttnK);
    let h = gatherRows(this.encoderStates.at(-1)!.cache.tensor, slots);
    p.layers.forEach((layer, i) => {
      if (i === 0 || c.crossAttnAllLayers) {
        const { keys, values } = this.patchCaches[i];
        h = crossAttend(p.cross_attn_layers[i], h, [keys.tensor, values.tensor], cross, c);
      }
      h = cachedBlock(layer, h, at, c, this.decoderCaches[i]);
    });
    if (asked) h = gatherRows(h, asked);
    return linear(rmsNorm(h, p.norm.weight, c.rmsNormEps), lm_head.weight);
  }
}
