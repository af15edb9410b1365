/**
 * @file The model while decoding, as four computations on whole numbers: the ids, positions and cache rows of new bytes go in, entropies
 * and logits come out, and keys, values and states join the caches on the way. The layers are those that train (blt.ts), with caches.
 *
 * Each is a `Replay`: the kernels of a byte's step are the same for every byte, so they are recorded once. Which bytes and patches
 * there are, and what of them stays, is decided in decoder.ts.
 */
import { gatherRows, type IntervalBounds, linear, type RopeTable, reshape, rmsNorm, ropeTable } from '@blt-ts/autograd';
import type { Backend, Tensor } from '@blt-ts/tensor';
import type { StackContext } from '../model/batch.ts';
import { decoderLayers, embedIds, patchesAsRows, patchQueries, patchTokens } from '../model/blt.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { BltConfig, TransformerConfig } from '../model/config.ts';
import { entropyModelLogits, entropyOfLogits } from '../model/entropy-model.ts';
import { crossKeysAndValues, transformerBlock } from '../model/layers.ts';
import { GlobalStages } from './global-stages.ts';
import { cachesAt, type KeyValueCache, stackCaches } from './key-value-cache.ts';
import { NamedReplay, type Tensors } from './named-replay.ts';
import type { PatcherState, SequencePatch } from './patcher-state.ts';
import { type ByteStep, type Placement, type PooledBytes, pooledBytes } from './placement.ts';
import { type Cache, SlotCache, writeRows } from './slot-cache.ts';

/** Rows of the fused hash table, one after the other. */
export type HashRows = (rows: Int32Array) => Float32Array;

/** Steps of more bytes than this, and than there are sequences (prompts), are hardly of the same length twice. */
const MOST_RECORDED = 32;

/** The bytes of the patches that several sequences finish in one step are made a multiple of this. */
const BYTES_GRAIN = 16;

/** New rows of a stack: positions, the cache rows they are written to, and the interval of cache rows each sees. All [n]. */
interface StackInputs<Values> {
  readonly positions: Values;
  readonly slots: Values;
  readonly lo: Values;
  readonly hi: Values;
}

interface ByteInputs extends StackInputs<Int32Array> {
  readonly ids: Int32Array;
}

interface EncoderInputs extends ByteInputs {
  /** [n * tables] rows of the hash table, or of `hashRows` where only those are in memory. */
  readonly hashIds?: Int32Array;
  /** [n * tables * C] */
  readonly hashRows?: Float32Array;
}

/** Finished patches: their rows in the global model, and the bytes that they are made of. */
interface PatchInputs extends StackInputs<Int32Array>, Omit<PooledBytes, 'pairs'> {}

interface DecoderInputs extends StackInputs<Int32Array> {
  /** [n] the rows of patches that each byte sees. */
  readonly crossLo: Int32Array;
  readonly crossHi: Int32Array;
  /** The bytes whose logits are wanted; all of them if it is left out. */
  readonly wanted?: Int32Array;
}

/** Pairs of query and key that attention computes, for counting FLOPs. */
interface PatchPairs {
  readonly pairs: number;
  readonly globalPairs: number;
}

/** The four computations of a decoding step and the caches that they share. */
export class ModelSteps {
  readonly backend: Backend;
  /** Positions in bytes: keys and values of the three local stacks, and encoder states. */
  readonly byteSlots: SlotCache;
  /** Positions in patches, k rows each: keys and values of finished patches for every cross-attention of the decoder. */
  readonly patchSlots: SlotCache;
  private readonly config: BltConfig;
  private readonly checkpoint: Checkpoint;
  private readonly hashRows: HashRows | null;
  /** Most bytes of a step that is recorded. */
  private readonly mostRecorded: number;
  private readonly patcherCaches: KeyValueCache[];
  private readonly encoderCaches: KeyValueCache[];
  private readonly decoderCaches: KeyValueCache[];
  /** States after each encoder layer that is followed by a cross-attention that counts; the last layer's are among them. */
  private readonly encoderStates: { layer: number; cache: Cache }[];
  private readonly globalStages: GlobalStages;
  private readonly patchCaches: KeyValueCache[];
  /** The rotary tables of each stack, as recorded. */
  private readonly tables = new Map<TransformerConfig, RopeTable>();
  /** Cache generations that the recordings were made with. */
  private recorded = '';
  private readonly entropyStep: NamedReplay<ByteInputs, Placement>;
  private readonly encoderStep: NamedReplay<EncoderInputs, Placement>;
  private readonly patchStep: NamedReplay<PatchInputs, PatchPairs>;
  private readonly decoderStep: NamedReplay<DecoderInputs, Placement>;

  constructor(checkpoint: Checkpoint, sequences: number, hashRows: HashRows | null) {
    const { config, params } = checkpoint;
    const { encoder, decoder, global, patcher } = config;
    const { backend } = params.lm_head.weight;
    this.backend = backend;
    this.config = config;
    this.checkpoint = checkpoint;
    this.hashRows = hashRows;
    this.mostRecorded = Math.max(sequences, MOST_RECORDED);
    this.byteSlots = new SlotCache(sequences, backend);
    this.patcherCaches = config.patching.mode === 'entropy' ? stackCaches(patcher!, this.byteSlots) : [];
    this.encoderCaches = stackCaches(encoder, this.byteSlots);
    this.decoderCaches = stackCaches(decoder, this.byteSlots);
    // With `huggingface` every layer pools anew, so only the last one's cross-attention reaches the output.
    const refines = encoder.crossAttnAllLayers && config.behaviour === 'facebook';
    this.encoderStates = Array.from({ length: encoder.numHiddenLayers }, (_, layer) => layer)
      .filter((layer) => refines || layer === encoder.numHiddenLayers - 1)
      .map((layer) => ({ layer, cache: this.byteSlots.add(encoder.hiddenSize) }));
    this.globalStages = new GlobalStages(params.model.global_transformer.layers, global, sequences);
    this.patchSlots = new SlotCache(sequences, backend);
    this.patchCaches = stackCaches(decoder, this.patchSlots, params.model.local_decoder.cross_attn_layers.length);
    // A draft may look at a patch before there is one. It then sees zeros.
    const none = Array.from({ length: sequences }, () => 0);
    this.patchSlots.reserve(none.map(() => config.crossAttnK), none, none); // biome-ignore format: one line
    this.entropyStep = new NamedReplay(backend, (inputs, at) => [this.entropiesOf(inputs, at)]);
    this.encoderStep = new NamedReplay(backend, (inputs, at) => this.readBytes(inputs, at));
    this.patchStep = new NamedReplay(backend, (inputs, pairs) => this.readPatches(inputs, pairs));
    this.decoderStep = new NamedReplay(backend, (inputs, at) => [this.logitsOf(inputs, at)]);
  }

  /** Entropies [n] of the predictions after the new bytes, nats. */
  entropies({ ids, slots, patcher }: ByteStep): Tensor {
    const { positions, lo, hi, positionCount } = patcher!;
    this.prepare(this.config.patcher!, positionCount);
    return this.entropyStep.run({ ids, slots, positions, lo, hi }, patcher!, ids.length > this.mostRecorded)[0];
  }

  /** Runs the encoder on the new bytes, and keeps their states for the patches they belong to. */
  encode({ ids, slots, hashIds, local }: ByteStep): void {
    const { positions, lo, hi, positionCount } = local;
    const inputs: EncoderInputs = { ids, slots, positions, lo, hi, ...this.ngrams(hashIds) };
    this.prepare(this.config.encoder, positionCount);
    this.encoderStep.run(inputs, local, ids.length > this.mostRecorded);
  }

  /** The n-gram rows of new bytes. If the hash table is not in memory, the named rows are read into a small table of their own. */
  private ngrams(hashIds: Int32Array | null): Pick<EncoderInputs, 'hashIds' | 'hashRows'> {
    if (!hashIds) return {};
    if (!this.hashRows) return { hashIds };
    return { hashIds: Int32Array.from(hashIds.keys()), hashRows: this.hashRows(hashIds) };
  }

  /**
   * Runs cross-attention and global model on finished patches, and keeps the decoder's keys and values of them.
   * @param states of the sequences before these patches
   * @throws ConfigError if a sequence gets more patches than the model takes
   */
  finish(finished: readonly SequencePatch[], states: readonly PatcherState[]): void {
    const ends = states.map((s) => s.patches);
    for (const { sequence, patch } of finished) ends[sequence] = patch.index + 1;
    const k = this.config.crossAttnK;
    // The newest patch so far is still looked at by bytes before the next one.
    this.patchSlots.reserve(
      ends.map((end) => end * k),
      states.map((s) => Math.max(0, s.patches - 1) * k),
      states.map((s) => s.patches * k),
    );
    const grain = states.length > 1 ? BYTES_GRAIN : 1;
    const { pairs, ...inputs } = pooledBytes(finished, this.byteSlots, this.patchSlots, k, grain);
    const { positions, slots, lo, hi, ...at } = this.globalStages.place(finished, ends, states);
    this.prepare(this.config.global, at.positionCount);
    const many = inputs.bytes.length > (grain > 1 ? 4 * this.mostRecorded : this.mostRecorded);
    const once = many || !this.globalStages.areOn(this.backend);
    this.patchStep.run({ ...inputs, positions, slots, lo, hi }, { pairs, globalPairs: at.pairs }, once);
  }

  /**
   * Logits [n, vocab] after the new bytes; only those of the bytes `wanted`, if given.
   * @param visiblePatch [n] the patch that each byte looks at
   */
  logits(step: ByteStep, visiblePatch: Int32Array, wanted: Int32Array | null): Tensor {
    const { slots, starts, local } = step;
    const k = this.config.crossAttnK;
    const n = slots.length;
    const [crossLo, crossHi] = [new Int32Array(n), new Int32Array(n)];
    for (let r = 0; r + 1 < starts.length; r++) {
      for (let i = starts[r]; i < starts[r + 1]; i++) {
        crossLo[i] = this.patchSlots.slot(r, visiblePatch[i] * k);
        crossHi[i] = crossLo[i] + k;
      }
    }
    const { positions, lo, hi, positionCount } = local;
    const some = wanted && wanted.length < n ? { wanted } : {};
    this.prepare(this.config.decoder, positionCount);
    const inputs = { slots, positions, lo, hi, crossLo, crossHi, ...some };
    return this.decoderStep.run(inputs, local, n > this.mostRecorded)[0];
  }

  /** Forgets what one sequence has read. */
  restart(sequence: number): void {
    this.byteSlots.restart(sequence);
    this.globalStages.restart(sequence);
    this.patchSlots.restart(sequence);
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

  /** Makes rotary positions ready. Recordings that know tensors which have been replaced since are dropped. */
  private prepare(c: TransformerConfig, positionCount: number): void {
    const table = ropeTable(this.backend, c.ropeTheta, c.hiddenSize / c.numAttentionHeads, positionCount);
    const caches = `${this.byteSlots.generation} ${this.patchSlots.generation} ${this.globalStages.generation}`;
    if (this.tables.get(c) === table && this.recorded === caches) return;
    this.forget();
    this.tables.set(c, table);
    this.recorded = caches;
  }

  /** The place of new rows, as the layers take it. */
  private context(c: TransformerConfig, { positions, lo, hi }: StackInputs<Tensor>, pairs: number): StackContext {
    return { positions, bounds: { lo, hi, pairs }, rope: this.tables.get(c)! };
  }

  private entropiesOf(inputs: Tensors<ByteInputs>, { pairs }: Placement): Tensor {
    const c = this.config.patcher!;
    const batch = { ids: inputs.ids, local: this.context(c, inputs, pairs) };
    const caches = cachesAt(this.patcherCaches, inputs.slots);
    return entropyOfLogits(entropyModelLogits(this.checkpoint.patcher!, batch, c, undefined, caches));
  }

  private readBytes(inputs: Tensors<EncoderInputs>, { pairs }: Placement): [] {
    const { local_encoder: p, encoder_hash_tok_embedding: hashes } = this.checkpoint.params.model;
    const c = this.config.encoder;
    const { ids, slots, hashIds, hashRows } = inputs;
    const table = () => (hashRows ? reshape(hashRows, [hashIds!.size, c.hiddenSize]) : hashes!.weight);
    const ngrams = hashIds ? { table: table(), rows: reshape(hashIds, [ids.size, hashIds.size / ids.size]) } : null;
    const at = this.context(c, inputs, pairs);
    let h = embedIds(p, ids, ngrams);
    p.layers.forEach((layer, i) => {
      h = transformerBlock(layer, h, at, c, undefined, this.encoderCaches[i].at(slots));
      const kept = this.encoderStates.find((s) => s.layer === i);
      if (kept) writeRows(kept.cache, slots, h);
    });
    return [];
  }

  private readPatches(inputs: Tensors<PatchInputs>, { pairs, globalPairs }: PatchPairs): [] {
    const { local_encoder, global_transformer, local_decoder } = this.checkpoint.params.model;
    const { config } = this;
    const { starts, bytesLo, bytesHi } = inputs;
    const bounds: IntervalBounds = { lo: bytesLo, hi: bytesHi, pairs };
    let queries: Tensor | null = null; // [F*k, C]
    for (const { layer, cache } of this.encoderStates) {
      const states = gatherRows(cache.tensor, inputs.bytes);
      queries = patchQueries(local_encoder, layer, states, queries, { starts, bounds }, config);
    }
    const patches = reshape(queries!, [starts.size - 1, config.crossAttnK * config.encoder.hiddenSize]);
    const at = this.context(config.global, inputs, globalPairs);
    const out = this.globalStages.step(patchTokens(global_transformer, patches), at, inputs.slots);
    const rows = patchesAsRows(local_decoder, out, config);
    local_decoder.cross_attn_layers.forEach((layer, i) => {
      this.patchCaches[i].write(inputs.rows, crossKeysAndValues(layer, rows, config.decoder));
    });
    return [];
  }

  private logitsOf(inputs: Tensors<DecoderInputs>, { pairs }: Placement): Tensor {
    const { model, lm_head } = this.checkpoint.params;
    const { decoder: c, crossAttnK } = this.config;
    const { slots, crossLo, crossHi, wanted } = inputs;
    const cross = { lo: crossLo, hi: crossHi, pairs: slots.size * crossAttnK };
    const h = decoderLayers(
      model.local_decoder,
      gatherRows(this.encoderStates.at(-1)!.cache.tensor, slots),
      (layer) => this.patchCaches[layer].all,
      { local: this.context(c, inputs, pairs), cross },
      this.config,
      undefined,
      cachesAt(this.decoderCaches, slots),
    );
    const states = wanted ? gatherRows(h, wanted) : h;
    return linear(rmsNorm(states, model.local_decoder.norm.weight, c.rmsNormEps), lm_head.weight);
  }
}
