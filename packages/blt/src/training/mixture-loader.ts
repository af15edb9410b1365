/** @file Rows of several sources in given shares. */
import type { DataCursor, RowLoader } from './data-loader.ts';

/**
 * Hands out rows of several sources, each in its own order, so that of any n rows in a row source s gives n w_s / sum(w), to within a few
 * rows. The next row comes from the source that lags furthest behind its share: the s with the largest w_s (n + 1) - sum(w) c_s after n rows,
 * c_s of them from s, and of equals the first. So no source is ever a whole row ahead of its share, and what is drawn depends on the weights
 * alone: not on the sizes of the sources, on the seed, or on where a run was interrupted.
 */
export class MixtureLoader<Row> implements RowLoader<Row> {
  private readonly sources: readonly RowLoader<Row>[];
  private readonly weights: readonly number[];
  private readonly total: number;
  private drawn: number[];

  /** @throws RangeError unless there is a weight above 0 for each source */
  constructor(sources: readonly RowLoader<Row>[], weights: readonly number[]) {
    if (sources.length !== weights.length || !weights.every((w) => w > 0 && Number.isFinite(w))) {
      throw new RangeError(`a mixture of ${sources.length} sources needs a weight above 0 for each, got [${weights}]`);
    }
    this.sources = sources;
    this.weights = weights;
    this.total = weights.reduce((sum, w) => sum + w, 0);
    this.drawn = weights.map(() => 0);
  }

  get cursor(): DataCursor {
    const row = this.drawn.reduce((sum, n) => sum + n, 0);
    return { epoch: 0, row, sources: this.sources.map(({ cursor: { epoch, row } }) => ({ epoch, row })) };
  }

  /** Continues at a saved place. @throws RangeError if it is the place in another number of sources */
  seek({ row, sources }: DataCursor): void {
    if (sources?.length !== this.sources.length) {
      throw new RangeError(
        `the place is one in ${sources?.length ?? 1} sources, the mixture has ${this.sources.length}`,
      );
    }
    this.drawn = this.weights.map(() => 0);
    for (let n = 0; n < row; n++) this.draw(n);
    this.sources.forEach((source, s) => {
      source.seek(sources[s]);
    });
  }

  next(n: number): Row[] {
    const first = this.drawn.reduce((sum, count) => sum + count, 0);
    return Array.from({ length: n }, (_, i) => this.sources[this.draw(first + i)].next(1)[0]);
  }

  /** The source of the row after n rows. */
  private draw(n: number): number {
    let found = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let s = 0; s < this.weights.length; s++) {
      const behind = this.weights[s] * (n + 1) - this.total * this.drawn[s];
      if (behind > most) [found, most] = [s, behind];
    }
    this.drawn[found]++;
    return found;
  }
}

/**
 * The size of a single corpus that is passed over as often as the sources of a mixture are: 1 / sum_s(p_s^2 / bytes_s), with
 * p_s = w_s / sum(w). For a byte drawn from the mixture, it makes `bytes read / bytesOfMixture` the expected number of passes over its source.
 * Shares in proportion to the bytes give the sum of the bytes, others less.
 */
export function bytesOfMixture(weights: readonly number[], bytes: readonly number[]): number {
  const total = weights.reduce((sum, w) => sum + w, 0);
  return 1 / weights.reduce((sum, w, s) => sum + (w / total) ** 2 / Math.max(1, bytes[s]), 0);
}
