/**
 * @file Incremental decoding: a byte costs one step of the entropy model, the encoder and the decoder; a PATCH costs one step of the
 * global model. The logits are those of `bltLogits` on the whole text.
 *
 * For every byte i: (1) the entropy model's step gives H[i]; (2) the encoder's step gives h_i, which joins the open patch; (3) if the
 * next byte starts a new patch, the open one is finished: its bytes are pooled to k queries that attend to them, and the global model
 * takes ONE step, whose output becomes k rows o; (4) the decoder's step looks at o and gives the logits of byte i+1.
 * Several bytes at once (a prompt) do the same in parallel, and so do several texts of different lengths, laid end to end.
 */
import { scope, type Tensor } from '@blt-ts/tensor';
import type { Checkpoint } from '../checkpoints/huggingface.ts';
import { checkEntropies } from '../errors.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { type Reading, resultLater, resultNow } from '../readback.ts';
import { type HashRows, ModelSteps, type TextPatch } from './model-steps.ts';
import { type BoundaryDecision, boundaryDecision, EMPTY_TEXT, readId, type TextState } from './patcher-state.ts';
import { type ByteStep, byteStep } from './placement.ts';

export type { HashRows } from './model-steps.ts';

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

/** One pass over new bytes, before it is decided how many of them stay. */
interface Pass {
  readonly step: ByteStep;
  /** [texts][bytes of the text] state after each byte */
  readonly states: TextState[][];
  readonly entropies: Float32Array | null;
  /** Patches finished in this pass, text after text. */
  readonly finished: readonly TextPatch[];
  /** [bytes] the patch that each byte looks at: the newest that is finished. */
  readonly shown: Int32Array;
}

export class Decoder {
  readonly config: BltConfig;
  readonly texts: number;
  /** Steps of the global model so far: one for every patch finished. */
  globalSteps = 0;
  /** Bytes that went through the local models, drafts not counted. */
  byteSteps = 0;
  private readonly steps: ModelSteps;
  private readonly chunkBytes: number;
  private readonly decision: BoundaryDecision;
  private readonly ids: number[][];
  private readonly lengths: number[][];
  private states: TextState[];
  private readonly latestEntropy: Float32Array;

  /** A pass waits for values from a device. */
  private waiting = false;

  constructor(checkpoint: Checkpoint, { texts = 1, chunkBytes = 1024, hashRows }: DecoderOptions = {}) {
    const { config, params } = checkpoint;
    if (!Number.isInteger(texts) || texts < 1) throw new RangeError(`Decoder: texts must be at least 1, got ${texts}`);
    if (!Number.isInteger(chunkBytes) || chunkBytes < 1) {
      throw new RangeError(`Decoder: chunkBytes must be at least 1, got ${chunkBytes}`);
    }
    if (!hashRows && !params.model.encoder_hash_tok_embedding && config.hash.groupSizes.length > 0) {
      throw new Error('Decoder: the hash tables are not in memory; give hashRows, which reads rows of them');
    }
    this.config = config;
    this.texts = texts;
    this.chunkBytes = chunkBytes;
    this.steps = new ModelSteps(checkpoint, texts, hashRows ?? null);
    this.decision = boundaryDecision(config.patching, layoutOptions(config).documents);
    this.ids = Array.from({ length: texts }, () => []);
    this.lengths = Array.from({ length: texts }, () => []);
    this.states = Array.from({ length: texts }, () => EMPTY_TEXT);
    this.latestEntropy = new Float32Array(texts);
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
   * @throws ConfigError if a text gets longer than the model takes, NonFiniteError if an entropy is not a number, Error on a backend whose values must be waited for
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
      const [state] = this.states;
      const before = [{ ...state, ids: [...this.ids[0], ...pending.slice(0, -1)] }];
      const step = byteStep([pending.slice(-1)], before, this.steps.byteSlots, this.config);
      this.steps.encode(step);
      return this.steps.logits(step, Int32Array.of(Math.max(0, state.patches - 1)), null);
    });
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
    accept: (logits: Float32Array, text: number, count: number) => number,
  ): Reading<void> {
    if (this.waiting) throw new Error('Decoder: it is still reading the ids given before; await that first');
    this.waiting = true;
    const { steps } = this;
    try {
      this.reserveBytes(rows.map((row) => row.length));
      const before = this.states.map((s, r) => ({ documentStart: s.documentStart, ids: this.ids[r] }));
      const step = byteStep(rows, before, steps.byteSlots, this.config);
      const entropies = step.patcher ? yield scope(() => steps.entropies(step)) : null;
      if (entropies) checkEntropies(entropies);
      const pass = this.readIds(step, entropies);
      const asked = all
        ? null
        : Int32Array.from(rows.flatMap((row, r) => (row.length > 0 ? [step.starts[r + 1] - 1] : [])));
      const logits = yield scope(() => this.compute(pass, asked));
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

  /** Logits of the new bytes, or of those `asked`. */
  private compute({ step, finished, shown }: Pass, asked: Int32Array | null): Tensor {
    this.steps.encode(step);
    if (finished.length > 0) this.steps.finish(finished, this.states);
    this.globalSteps += finished.length;
    return this.steps.logits(step, shown, asked);
  }

  /** Where the new bytes end patches. */
  private readIds(step: ByteStep, entropies: Float32Array | null): Pass {
    const finished: TextPatch[] = [];
    const shown = new Int32Array(step.bytes);
    const states = this.states.map((before, text) => {
      const after: TextState[] = [];
      let state = before;
      for (let i = step.starts[text]; i < step.starts[text + 1]; i++) {
        // Boundaries are decided in float32, on every backend.
        const entropy = entropies ? Math.fround(entropies[i]) : 0;
        const next = readId(state, step.ids[i], entropy, this.decision);
        if (next.finished) finished.push({ text, patch: next.finished });
        state = next.state;
        shown[i] = state.patches - 1;
        after.push(state);
      }
      return after;
    });
    return { step, states, entropies, finished, shown };
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
    for (const { text, patch } of finished) {
      if (patch.index < this.states[text].patches) this.lengths[text].push(patch.end - patch.start);
    }
  }
}
