/** @file Learning-rate schedules. */
import { checkOptions, naturalCos } from '@blt-ts/tensor';

/** The shapes that a learning rate may follow: see `learningRateMultiplier`. */
export type Schedule = 'cosine' | 'linear' | 'inv_sqrt' | 'wsd' | 'constant';

const OPTIONS = ['schedule', 'warmupSteps', 'totalSteps', 'minRatio', 'decayFraction', 'decay', 'holdAtEnd'];

/** A schedule and its numbers. */
export interface ScheduleOptions {
  readonly schedule: Schedule;
  /** W: steps of linear warm-up from 0; may be 0. */
  readonly warmupSteps: number;
  /** N: steps of the whole run, warm-up included. */
  readonly totalSteps: number;
  /** r: the multiplier at the end, 0 .. 1 (default 0). */
  readonly minRatio?: number;
  /** wsd only: the part of the run that decays (default 0.1). */
  readonly decayFraction?: number;
  /** wsd only: the shape of the decay. Default 'inverse', that of the authors' code; 'line' comes down to r. */
  readonly decay?: 'inverse' | 'line';
  /**
   * Default true: from step N on the multiplier keeps its final value. false reproduces the authors' code, where cosine
   * jumps to 1 at exactly t = N (and is r after it) and wsd starts a new cycle at 1.
   */
  readonly holdAtEnd?: boolean;
}

/**
 * Multiplier of the learning rate at step t (counted from 0). t < W: t / W in every schedule; then
 * - constant: 1
 * - cosine:   r + (1-r)/2 * (1 + cos(pi*s)),  s = (t-W)/(N-W)
 * - linear:   1 - (1-r)*s
 * - inv_sqrt: max(r, sqrt(max(1, W)/t))
 * - wsd (warm-up, stable, decay): 1 up to N-D, D = floor(decayFraction*N); then 1 / (1 + x*(1/r - 1)), x = (t-(N-D))/N.
 *   As in the authors' code x counts in parts of N, not of D, so the end is above r: 0.526 for r = 0.1, decayFraction 0.1.
 *   With decay 'line' it is 1 - (1-r)*(t-(N-D))/D instead. Up to N-D nothing depends on N, so a run can be made longer from there.
 * @throws RangeError if an option is out of range
 * @see Loshchilov & Hutter 2017 (cosine); Wen et al. 2024, arXiv 2410.05192 (wsd); Hägele et al. 2024, arXiv 2405.18392 (its decay in a line)
 */
export function learningRateMultiplier(step: number, options: ScheduleOptions): number {
  const { schedule, warmupSteps: W, totalSteps: N, minRatio: r = 0, decayFraction = 0.1, holdAtEnd = true } = options;
  checkOptions('learningRateMultiplier', options, OPTIONS);
  const { decay = 'inverse' } = options;
  validate(step, { schedule, W, N, r, decayFraction, decay });
  if (step < W) return step / W;
  const t = holdAtEnd ? Math.min(step, N) : step;
  switch (schedule) {
    case 'constant':
      return 1;
    case 'cosine':
      if (t > N) return r;
      if (t === N) return holdAtEnd ? r : 1;
      return r + ((1 - r) / 2) * (1 + naturalCos((Math.PI * (t - W)) / (N - W)));
    case 'linear':
      return t >= N ? r : 1 - ((1 - r) * (t - W)) / (N - W);
    case 'inv_sqrt':
      return t === 0 ? 1 : Math.max(r, Math.sqrt(Math.max(1, W) / t));
    case 'wsd': {
      if (t >= N && !holdAtEnd) return 1;
      const stable = stableSteps(N, decayFraction);
      if (t <= stable) return 1;
      if (decay === 'line') return 1 - ((1 - r) * (t - stable)) / (N - stable);
      const x = (t - stable) / N;
      return 1 / (1 + x * (1 / r - 1));
    }
  }
}

/** N - D of wsd: the last step at the full rate. */
export const stableSteps = (totalSteps: number, decayFraction: number): number =>
  totalSteps - Math.floor(decayFraction * totalSteps);

function validate(
  step: number,
  {
    schedule,
    W,
    N,
    r,
    decayFraction,
    decay,
  }: { schedule: string; W: number; N: number; r: number; decayFraction: number; decay: string },
): void {
  const fail = (text: string): never => {
    throw new RangeError(`learningRateMultiplier: ${text}`);
  };
  if (!['cosine', 'linear', 'inv_sqrt', 'wsd', 'constant'].includes(schedule)) {
    fail(`unknown schedule '${schedule}', use cosine, linear, inv_sqrt, wsd or constant`);
  }
  if (!(step >= 0)) fail(`step must be >= 0, got ${step}`);
  if (!Number.isInteger(N) || N < 1) fail(`totalSteps must be an integer >= 1, got ${N}`);
  if (!Number.isInteger(W) || W < 0) fail(`warmupSteps must be an integer >= 0, got ${W}`);
  if (W >= N && (schedule === 'cosine' || schedule === 'linear')) {
    fail(`warmupSteps ${W} must be below totalSteps ${N}`);
  }
  if (W > N) fail(`warmupSteps ${W} must be at most totalSteps ${N}`);
  if (!(r >= 0 && r <= 1)) fail(`minRatio must be 0 .. 1, got ${r}`);
  if (!(decayFraction >= 0 && decayFraction <= 1)) fail(`decayFraction must be 0 .. 1, got ${decayFraction}`);
  if (!['inverse', 'line'].includes(decay)) fail(`unknown decay '${decay}', use inverse or line`);
  if (schedule === 'wsd' && W > stableSteps(N, decayFraction)) {
    fail(`warmupSteps ${W} must end before the decay of wsd begins, at step ${stableSteps(N, decayFraction)}`);
  }
  if (schedule === 'wsd' && decay === 'inverse' && r === 0) {
    fail('wsd needs a minRatio above 0: its decay divides by it; or decay line');
  }
}
