/**
 * @file The memory of decoding: keys, values and states of earlier positions of several sequences.
 *
 * All tensors of one `SlotCache` share a numbering: position i of sequence r lies in row r * capacity + i - base[r] of each. Positions
 * that nothing will read again are dropped, and the rest moved to the front, only when a sequence has no free row left; so a window of
 * w bytes costs one move of w rows every w bytes, and every sequence's rows stay one interval, as attention wants them.
 */
import { type Backend, keep, release, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

/** One tensor [sequences * capacity, width] of a `SlotCache`. It is replaced when the cache grows. */
export interface Cache {
  readonly width: number;
  tensor: Tensor;
}

/** i32 [n] on a backend. */
export const ints = (values: ArrayLike<number>, backend: Backend): Tensor =>
  tensor(values instanceof Int32Array ? values : Int32Array.from(values), undefined, { backend });

/** cache[slots[i]] = x[i], in place. slots i32 [n], x [n, width] */
export const writeRows = (cache: Cache, slots: Tensor, x: Tensor): void => {
  run('writeRows', [cache.tensor, slots, x], {});
};

/** The numbering of positions that several tensors share, and their growth. */
export class SlotCache {
  readonly sequences: number;
  /** Rows per sequence. */
  capacity = 0;
  /** Counts how often the tensors have been replaced. */
  generation = 0;
  /** [sequences] the position that lies in a sequence's first row. */
  private readonly base: Int32Array;
  private readonly caches: Cache[] = [];
  private readonly backend: Backend;

  constructor(sequences: number, backend: Backend) {
    this.sequences = sequences;
    this.backend = backend;
    this.base = new Int32Array(sequences);
  }

  /** Another tensor of this numbering. */
  add(width: number): Cache {
    const cache = { width, tensor: this.empty(width, this.capacity) };
    this.caches.push(cache);
    return cache;
  }

  /** The row of a position. */
  slot(sequence: number, position: number): number {
    return sequence * this.capacity + position - this.base[sequence];
  }

  /**
   * Makes room for the positions up to `ends[r]` (excluded) of each sequence; positions before `keepFrom[r]` may be dropped.
   * @param lengths positions of each sequence that hold something already
   */
  reserve(ends: readonly number[], keepFrom: readonly number[], lengths: readonly number[]): void {
    if (ends.every((end, r) => end - this.base[r] <= this.capacity)) return;
    const longest = ends.reduce((most, end, r) => Math.max(most, end - keepFrom[r]), 1);
    // Twice what is kept, so that moving is rare.
    const capacity = 2 * longest > this.capacity ? Math.ceil(longest / 32) * 64 : this.capacity;
    const from: number[] = [];
    const to: number[] = [];
    for (let r = 0; r < this.sequences; r++) {
      for (let i = keepFrom[r]; i < lengths[r]; i++) {
        from.push(this.slot(r, i));
        to.push(r * capacity + i - keepFrom[r]);
      }
    }
    scope(() => {
      const [fromRows, toRows] = [ints(from, this.backend), ints(to, this.backend)];
      for (const cache of this.caches) {
        const [kept] = from.length > 0 ? run('gatherRows', [cache.tensor, fromRows], {}) : [];
        if (capacity !== this.capacity) {
          release(cache.tensor);
          cache.tensor = this.empty(cache.width, capacity);
        }
        if (kept) writeRows(cache, toRows, kept);
      }
    });
    if (capacity !== this.capacity) this.generation++;
    this.capacity = capacity;
    for (let r = 0; r < this.sequences; r++) this.base[r] = keepFrom[r];
  }

  /** Forgets the positions of one sequence; the next is its position 0. Rows that it wrote stay, and nobody sees them. */
  restart(sequence: number): void {
    this.base[sequence] = 0;
  }

  release(): void {
    for (const { tensor } of this.caches) release(tensor);
  }

  // Zeros, not anything: attention multiplies rows between two sequences by 0, which must not meet a NaN.
  private empty(width: number, capacity: number): Tensor {
    return keep(zeros([this.sequences * capacity, width], { backend: this.backend }));
  }
}
