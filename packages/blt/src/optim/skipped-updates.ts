/**
 * @file The updates that AdamW skips. A row of a table that a step does not read still changes under dense AdamW: weight decay shrinks
 * it, its moments fade, and its old momentum keeps moving it. These changes depend only on the learning rates of the skipped steps, so
 * they are applied in one go just before the row is used again.
 */
import { integerPower, type Tensor, tensor } from '@blt-ts/tensor';

/** The constants of AdamW. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Per step a parameter shrinks by the factor 1 - lr * weightDecay: all parameters, norms and embeddings included. */
  readonly weightDecay: number;
}

/** Numbers for each row in the kernel adamwCatchUp. */
const FACTORS = 5;

/** Values of a table that are caught up at a time. A table outside the kernels' memory is copied into it piece by piece. */
const PIECE = 1 << 22;

/** Rows of a table, rising, and the update that each received last. */
export interface RowsBehind {
  readonly rows: Int32Array;
  readonly lastStep: Int32Array;
}

/** The rows among `ids` that are behind step `now`, each once and rising. In `lastStep` they are marked as being at `now`. */
export function takeRowsBehind(ids: Int32Array, lastStep: Int32Array, now: number): RowsBehind {
  const found = new Int32Array(ids.length);
  let behind = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i] >= 0 && lastStep[ids[i]] < now) found[behind++] = ids[i];
  const rows = found.subarray(0, behind).sort();
  const since = new Int32Array(behind);
  let count = 0;
  for (let i = 0; i < behind; i++) {
    const id = rows[i];
    if (lastStep[id] >= now) continue;
    since[count] = lastStep[id];
    rows[count++] = id;
    lastStep[id] = now;
  }
  return { rows: rows.subarray(0, count), lastStep: since.subarray(0, count) };
}

/** Input of the kernel adamwCatchUp for some rows: their numbers [n], and five factors for each [n, 5]. */
export type SkippedRows = readonly [ids: Tensor, factors: Tensor];

/** The rates of a parameter group. */
export interface GroupRates {
  readonly lrScale: number;
  readonly weightDecay: number;
}

/** The learning rates of all updates so far, and what they did to rows that they skipped. */
export class SkippedUpdates {
  private readonly options: AdamWOptions;
  /** rates[t-1]: learning rate of update t, before a group's scale */
  private rates: number[] = [];
  /** Bias corrections of update t, at t-1: 1 / (1 - beta1^t), and sqrt(1 - beta2^t). Those after the last one here are 1 in 64 bits. */
  private corrections: (readonly [first: number, second: number])[] = [];
  /** Result of `skippedFactors`, as long as the longest so far: a step leaves no garbage that grows with the run. */
  private factors = new Float32Array(0);

  constructor(options: AdamWOptions) {
    this.options = options;
  }

  /** Updates done. */
  get step(): number {
    return this.rates.length;
  }

  /** Adds an update. */
  record(lr: number): void {
    this.rates.push(lr);
    const { beta1, beta2 } = this.options;
    const t = this.step;
    const [first, second] = [1 / (1 - integerPower(beta1, t)), Math.sqrt(1 - integerPower(beta2, t))];
    // An array for each update would be more than the rest of what a long run leaves in memory.
    if (first !== 1 || second !== 1) this.corrections[t - 1] = [first, second];
  }

  /** The learning rate of every update. */
  history(): Float64Array {
    return Float64Array.from(this.rates);
  }

  /** Starts again from a saved history. */
  restore(history: Float64Array): void {
    this.rates = [];
    this.corrections = [];
    for (const lr of history) this.record(lr);
  }

  /**
   * The skipped updates of rows that are behind, in pieces of bounded size. Each piece is made when it is called, in the caller's scope.
   * @param rates those of the table's parameter group   @param like a tensor of the table's shape [rows, width] and backend
   */
  *of({ rows, lastStep }: RowsBehind, rates: GroupRates, like: Tensor): Generator<() => SkippedRows> {
    if (rows.length === 0) return;
    const on = { backend: like.backend };
    const byAge = this.skippedFactors(
      lastStep.reduce((a, b) => Math.min(a, b)),
      rates,
    );
    const most = Math.max(1, Math.floor(PIECE / like.shape[1]));
    for (let begin = 0; begin < rows.length; begin += most) {
      const end = Math.min(begin + most, rows.length);
      const factors = new Float32Array((end - begin) * FACTORS);
      for (let u = begin; u < end; u++) {
        const age = this.step - lastStep[u];
        for (let f = 0; f < FACTORS; f++) factors[(u - begin) * FACTORS + f] = byAge[age * FACTORS + f];
      }
      yield () => [tensor(rows.subarray(begin, end), undefined, on), tensor(factors, [end - begin, FACTORS], on)];
    }
  }

  /**
   * Five factors for a row that skipped the last 0, 1, 2, ... updates, back to those after number `since`. The first three are the shares
   * of p, m and v that are left. With the other two, p moves by the fourth times -m / (sqrt(v) + the fifth).
   *
   * One pass over the rates from the last on. With w_t = rate_t correction_t (share that weight decay leaves after t) and
   * r = beta1 / sqrt(beta2): drift(s) = sum over t > s of w_t r^(t-s) = r (w_(s+1) + drift(s+1)).
   */
  private skippedFactors(since: number, { lrScale, weightDecay }: GroupRates): Float32Array {
    const { beta1, beta2, eps } = this.options;
    const now = this.step;
    const size = (now - since + 1) * FACTORS;
    if (this.factors.length < size) this.factors = new Float32Array(2 * size);
    const { factors } = this;
    let [keepP, keepM, keepV] = [1, 1, 1];
    // The drift if sqrt(v) alone were the denominator, and eps times the drift if eps alone were.
    let [drift, epsDrift] = [0, 0];
    const ratio = beta1 / Math.sqrt(beta2);
    for (let t = now, at = 0; ; t--) {
      factors[at++] = keepP;
      factors[at++] = keepM;
      factors[at++] = keepV;
      factors[at++] = drift;
      factors[at++] = epsDrift > 0 ? (eps * drift) / epsDrift : eps;
      if (t === since) return factors;
      const rate = lrScale * this.rates[t - 1];
      const [first, second] = this.corrections[t - 1] ?? [1, 1];
      drift = ratio * (rate * first * second * keepP + drift);
      epsDrift = beta1 * (rate * first * keepP + epsDrift);
      keepP *= 1 - rate * weightDecay;
      keepM *= beta1;
      keepV *= beta2;
    }
  }
}
