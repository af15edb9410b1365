/**
 * @file Incremental decoding. A byte costs one step of the entropy model, the encoder and the decoder. A PATCH costs one step of the
 * global model. The logits are those of `bltLogits` on the whole sequence. For every byte i:
 *
 * 1. The entropy model's step gives H[i].
 * 2. The encoder's step gives h_i, which joins the open patch.
 * 3. If the next byte starts a new patch, the open one is finished. Its bytes are pooled to k queries that attend to them, and the
 *    global model takes ONE step, whose output becomes k rows o.
 * 4. The decoder's step attends to o and gives the logits of byte i+1.
 *
 * Several bytes at once (a prompt) do the same in parallel, and so do several sequences of different lengths, laid end to end.
 */

import { scope, type Tensor } from '@blt-ts/tensor';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { checkEntropies } from '../model/entropy-model.ts';
import { runAsync, runSync, type WithReadback } from '../readback.ts';
import { type HashRows, ModelSteps } from './model-steps.ts';
import {
  advance,
  type BoundaryDecision,
  boundaryDecision,
  INITIAL_STATE,
  type PatcherState,
  type SequencePatch,
} from './patcher-state.ts';
import { type ByteStep, byteStep } from './placement.ts';

export type { HashRows } from './model-steps.ts';

/** Options of `Decoder`. */
export interface DecoderOptions {
  /** Number of sequences decoded side by side (default 1). */
  readonly sequences?: number;
  /** Bytes of a prompt read at once (memory; default 1024). */
  readonly chunkBytes?: number;
  /**
   * Reads rows of the fused hash table, [rows.length, local width], for checkpoints whose table is not in memory
   * (`params.model.encoder_hash_tok_embedding` absent).
   */
  readonly hashRows?: HashRows;
}

/** One pass over new bytes, before it is decided how many of them stay. */
interface Pass {
  readonly step: ByteStep;
  /** [sequences][bytes of the sequence] state after each byte */
  readonly states: PatcherState[][];
  readonly entropies: Float32Array | null;
  /** Patches finished in this pass, sequence after sequence. */
  readonly finished: readonly SequencePatch[];
  /** [bytes] the patch that each byte looks at: the newest that is finished. */
  readonly visiblePatch: Int32Array;
}

/** Several sequences decoded side by side, a byte or a prompt at a time. */
export class Decoder {
  readonly config: BltConfig;
  readonly sequences: number;
  /** Steps of the global model so far: one for every patch finished. */
  globalSteps = 0;
  /** Bytes that went through the local models, drafts not counted. */
  byteSteps = 0;
  private readonly steps: ModelSteps;
  private readonly chunkBytes: number;
  private readonly decision: BoundaryDecision;
  private readonly ids: number[][];
  private readonly lengths: number[][];
  private states: PatcherState[];
  private readonly latestEntropy: Float32Array;

  /** A pass waits for values from a device. */
  private waiting = false;

  constructor(checkpoint: Checkpoint, { sequences = 1, chunkBytes = 1024, hashRows }: DecoderOptions = {}) {
    const { config, params } = checkpoint;
    if (!Number.isInteger(sequences) || sequences < 1)
      throw new RangeError(`Decoder: sequences must be at least 1, got ${sequences}`);
    if (!Number.isInteger(chunkBytes) || chunkBytes < 1) {
      throw new RangeError(`Decoder: chunkBytes must be at least 1, got ${chunkBytes}`);
    }
    if (!hashRows && !params.model.encoder_hash_tok_embedding && config.hash.groupSizes.length > 0) {
      throw new Error('Decoder: the hash tables are not in memory; give hashRows, which reads rows of them');
    }
    this.config = config;
    this.sequences = sequences;
    this.chunkBytes = chunkBytes;
    this.steps = new ModelSteps(checkpoint, sequences, hashRows ?? null);
    this.decision = boundaryDecision(config.patching, layoutOptions(config).documents);
    this.ids = Array.from({ length: sequences }, () => []);
    this.lengths = Array.from({ length: sequences }, () => []);
    this.states = Array.from({ length: sequences }, () => INITIAL_STATE);
    this.latestEntropy = new Float32Array(sequences);
  }

  /** Ids of a sequence read so far, specials included. */
  length(sequence = 0): number {
    return this.states[sequence].length;
  }

  /** Lengths of the finished patches of a sequence, in bytes. */
  patchLengths(sequence = 0): readonly number[] {
    return this.lengths[sequence];
  }

  /** Entropy of the newest prediction of the patcher, nats; 0 where patches do not need entropies. */
  entropy(sequence = 0): number {
    return this.latestEntropy[sequence];
  }

  /**
   * Reads more ids of each sequence and returns the logits of what follows: [vocab] for the byte after the last one, or with
   * `all` [ids, vocab] for the byte after each. A sequence that gets no ids gets no logits (an empty array).
   * @throws ConfigError if a sequence gets longer than the model takes, NonFiniteError if an entropy is not a number, Error on a backend
   *   whose values must be waited for
   */
  feed(rows: readonly ArrayLike<number>[], options: { all?: boolean } = {}): Float32Array[] {
    return runSync(this.feedSteps(rows, options));
  }

  /** `feed` on any backend. One at a time: await it before the next. */
  feedAsync(rows: readonly ArrayLike<number>[], options: { all?: boolean } = {}): Promise<Float32Array[]> {
    return runAsync(this.feedSteps(rows, options));
  }

  /** @internal `feed` as a computation that asks for values. */
  *feedSteps(
    rows: readonly ArrayLike<number>[],
    { all = false }: { all?: boolean } = {},
  ): WithReadback<Float32Array[]> {
    if (rows.length !== this.sequences) {
      throw new RangeError(
        `feed: one row of ids for each of ${this.sequences} sequences is needed, got ${rows.length}`,
      );
    }
    const V = this.config.vocabSize;
    const logits: Float32Array[] = rows.map((row) => new Float32Array(all ? row.length * V : 0));
    const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
    const chunk = Math.max(1, Math.floor(this.chunkBytes / this.sequences));
    for (let at = 0; at < longest; at += chunk) {
      const part = rows.map((row) => Array.prototype.slice.call(row, at, at + chunk) as number[]);
      yield* this.pass(part, all, (found, r, count) => {
        if (count === 0) return 0;
        if (all) logits[r].set(found, at * V);
        else logits[r] = found;
        return count;
      });
    }
    return logits;
  }

  /**
   * Reads ids of sequence 0 in one pass but keeps only as many as `accept` says when shown the logits after each: the rest is as if it
   * had never been read.
   */
  *verify(ids: readonly number[], accept: (logits: Float32Array) => number): WithReadback<void> {
    yield* this.pass([ids], true, (logits) => accept(logits));
  }

  /** Makes room for this many more bytes of each sequence, so that `draft` and `verify` do not move the caches. */
  reserve(bytes: number): void {
    this.reserveBytes(this.states.map(() => bytes));
  }

  /**
   * Logits of sequence 0 after `pending` ids that have not been read, as the local models alone give them: they go on looking at the
   * newest finished patch, whatever the entropy model says. Only the last id is computed, call it once for each.
   */
  *draft(pending: readonly number[]): WithReadback<Float32Array> {
    return yield scope(() => {
      const [state] = this.states;
      const before = [{ ...state, ids: [...this.ids[0], ...pending.slice(0, -1)] }];
      const step = byteStep([pending.slice(-1)], before, this.steps.byteSlots, this.config);
      this.steps.encode(step);
      return this.steps.logits(step, Int32Array.of(Math.max(0, state.patches - 1)), null);
    });
  }

  /**
   * Forgets one sequence, whose place may then read another text from its beginning. The other sequences stay as they are.
   * @throws Error while ids given before are still being read
   */
  restart(sequence: number): void {
    if (this.waiting) throw new Error('Decoder: it is still reading the ids given before; await that first');
    this.states[sequence] = INITIAL_STATE;
    this.ids[sequence] = [];
    this.lengths[sequence] = [];
    this.latestEntropy[sequence] = 0;
    this.steps.restart(sequence);
  }

  /** Gives the memory back at once; otherwise the garbage collector does, later. */
  release(): void {
    this.steps.release();
  }

  private reserveBytes(more: readonly number[]): void {
    const { window } = layoutOptions(this.config);
    this.steps.byteSlots.reserve(
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
    accept: (logits: Float32Array, sequence: number, count: number) => number,
  ): WithReadback<void> {
    if (this.waiting) throw new Error('Decoder: it is still reading the ids given before; await that first');
    this.waiting = true;
    const { steps } = this;
    try {
      this.reserveBytes(rows.map((row) => row.length));
      const before = this.states.map((s, r) => ({ documentStart: s.documentStart, ids: this.ids[r] }));
      const step = byteStep(rows, before, steps.byteSlots, this.config);
      const entropies = step.patcher ? yield scope(() => steps.entropies(step)) : null;
      if (entropies) checkEntropies(entropies);
      const pass = this.findBoundaries(step, entropies);
      const wanted = all
        ? null
        : Int32Array.from(rows.flatMap((row, r) => (row.length > 0 ? [step.starts[r + 1] - 1] : [])));
      const logits = yield scope(() => this.compute(pass, wanted));
      const V = this.config.vocabSize;
      let at = 0;
      const counts = rows.map((row, r) => {
        const n = all ? row.length : Math.min(1, row.length);
        const count = accept(logits.subarray(at * V, (at + n) * V), r, row.length);
        at += n;
        return count;
      });
      this.commit(pass, rows, counts);
    } finally {
      this.waiting = false;
    }
  }

  /** Logits of the new bytes, or of those `wanted`. */
  private compute({ step, finished, visiblePatch }: Pass, wanted: Int32Array | null): Tensor {
    this.steps.encode(step);
    if (finished.length > 0) this.steps.finish(finished, this.states);
    this.globalSteps += finished.length;
    return this.steps.logits(step, visiblePatch, wanted);
  }

  /** Where the new bytes end patches. */
  private findBoundaries(step: ByteStep, entropies: Float32Array | null): Pass {
    const finished: SequencePatch[] = [];
    const visiblePatch = new Int32Array(step.bytes);
    const states = this.states.map((before, sequence) => {
      const after: PatcherState[] = [];
      let state = before;
      for (let i = step.starts[sequence]; i < step.starts[sequence + 1]; i++) {
        // Boundaries are decided in float32, on every backend.
        const entropy = entropies ? Math.fround(entropies[i]) : 0;
        const next = advance(state, step.ids[i], entropy, this.decision);
        if (next.finished) finished.push({ sequence, patch: next.finished });
        state = next.state;
        visiblePatch[i] = state.patches - 1;
        after.push(state);
      }
      return after;
    });
    return { step, states, entropies, finished, visiblePatch };
  }

  private commit(
    { states, entropies, step, finished }: Pass,
    rows: readonly (readonly number[])[],
    counts: number[],
  ): void {
    counts.forEach((count, r) => {
      if (count === 0) return;
      this.states[r] = states[r][count - 1];
      for (const id of rows[r].slice(0, count)) this.ids[r].push(id);
      this.latestEntropy[r] = entropies?.[step.starts[r] + count - 1] ?? 0;
      this.byteSteps += count;
    });
    for (const { sequence, patch } of finished) {
      if (patch.index < this.states[sequence].patches) this.lengths[sequence].push(patch.end - patch.start);
    }
  }
}
