/** @file The best evaluation of a run, and when to stop because no better one comes. */

/** The part of a run's state that evaluations decide. */
export interface BestState {
  readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
  /** Evaluations since the best. */
  readonly stale: number;
  /** Step of the last evaluation, -1 before the first. */
  readonly evaluatedAt: number;
}

/** Keeps the best evaluation, and counts those since. */
export class BestSoFar {
  private current: BestState = { best: null, stale: 0, evaluatedAt: -1 };

  get state(): BestState {
    return this.current;
  }

  restore({ best, stale, evaluatedAt }: BestState): void {
    this.current = { best, stale, evaluatedAt };
  }

  /** Adds an evaluation. @returns whether it is the best so far */
  record(step: number, bitsPerByte: number): boolean {
    const { best, stale } = this.current;
    const better = best === null || bitsPerByte < best.bitsPerByte;
    this.current = {
      best: better ? { step, bitsPerByte } : best,
      stale: better ? 0 : stale + 1,
      evaluatedAt: step,
    };
    return better;
  }
}
