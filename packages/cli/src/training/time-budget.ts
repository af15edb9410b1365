/** @file The time a run has: how much is left, what the rest will take, and how many steps fit. */
import { closingSeconds, evaluationSeconds, type Rates, RunningMean, secondsOf, type Work } from './forecast.ts';

/** A time limit, and its meaning for the number of steps. */
export interface Minutes {
  readonly minutes: number;
  /** true: the number of steps follows from it. false: the steps are fixed, and the run stops where it is when the time is up. */
  readonly fitted: boolean;
  /** Steps that are enough, however much time is left (default: no bound). */
  readonly mostSteps?: number;
}

/** How far a run is. */
export interface Position {
  readonly phase: 'entropy model' | 'patching' | 'model' | 'done';
  /** Updates done in the phase, and in all. */
  readonly step: number;
  readonly steps: number;
}

/** A number of steps is changed if it is off by more than this share of those of this start: less is noise. */
const TOLERANCE = 0.02;
/** The number of steps is looked at this often in the course of a start. */
const LOOKS = 40;
/** The present pace is the mean over about this many steps. */
const MEMORY = 25;

/** Seconds since the process began: what somebody with a watch sees. */
export const wallSeconds = (): number => performance.now() / 1000;

/** Follows the pace of a run. */
export class TimeBudget {
  private readonly limit: Minutes | null;
  private readonly now: () => number;
  private readonly entropyStep = new RunningMean(MEMORY);
  private readonly step = new RunningMean(MEMORY);
  private rates: Rates;
  private readonly planned: Rates;
  private readonly work: Work;
  /** The phase that is looked at, and the step that it stood at when this start began with it. */
  private begun: Pick<Position, 'phase' | 'step'> | null = null;
  /** When the entropy model's share is used up; from the first step on. */
  private entropyEnd: number | null = null;

  /** @param now seconds since the process began */
  constructor(work: Work, rates: Rates, limit: Minutes | null, now: () => number = wallSeconds) {
    this.work = work;
    this.rates = rates;
    this.planned = rates;
    this.limit = limit;
    this.now = now;
  }

  /** To be told of every step. */
  took(phase: 'entropy model' | 'model', seconds: number): void {
    const mean = phase === 'model' ? this.step : this.entropyStep;
    mean.add(seconds);
    if (phase === 'entropy model') this.rates = { ...this.rates, entropyStep: mean.value! };
    else this.rates = slowed(this.planned, mean.value!, this.rates.entropyStep);
  }

  /** Seconds to the end of the run, at the pace of the last steps. */
  secondsLeft(at: Position): number {
    const left = secondsOf(this.workLeft(at), this.rates);
    if (this.limit === null) return left;
    return Math.min(left, Math.max(0, 60 * this.limit.minutes - this.now()));
  }

  private workLeft({ phase, step, steps }: Position): Work {
    const { work } = this;
    if (phase === 'entropy model') return { ...work, entropySteps: steps - step };
    if (phase === 'patching') return { ...work, entropySteps: 0 };
    const share = work.steps === 0 ? 0 : Math.min(1, (steps - step) / work.steps);
    return {
      ...work,
      entropySteps: 0,
      scoredBytes: 0,
      steps: steps - step,
      evaluations: Math.ceil(work.evaluations * share),
    };
  }

  /** True when a run of fixed steps has had its time. */
  get isUp(): boolean {
    return this.limit !== null && !this.limit.fitted && this.now() >= 60 * this.limit.minutes;
  }

  /**
   * The number of steps, in all, at which the phase should end so that the run is over in time; null where it stands well. Looked at
   * forty times in the steps of this start, and at once where the time is almost used up.
   */
  newEnd(at: Position): number | null {
    if (this.limit === null || !this.limit.fitted) return null;
    const { phase, step, steps } = at;
    if (this.begun?.phase !== phase) this.begun = { phase, step: step - 1 };
    // A run that is gone on with may have done far more steps before than it does now.
    const [done, all] = [step - this.begun.step, steps - this.begun.step];
    if (done % Math.max(1, Math.floor(all / LOOKS)) !== 0 && step !== steps) return null;
    if (phase === 'entropy model') return this.newEntropyEnd(at);
    if (phase !== 'model') return null;
    const end = this.endInTime(at);
    return Math.abs(end - steps) > TOLERANCE * all || (end < steps && end <= step) ? end : null;
  }

  /** The number of steps, in all, with which a run of a limited time is over in time if it goes on from a step of its model. */
  endInTime(at: Position): number {
    const { minutes, mostSteps = Number.POSITIVE_INFINITY } = this.limit!;
    const rest = this.workLeft(at);
    const free =
      60 * minutes -
      this.now() -
      closingSeconds(rest, this.rates) -
      rest.evaluations * evaluationSeconds(rest, this.rates);
    const fits = at.step + Math.max(0, Math.floor(free / this.rates.step));
    return Math.min(fits, Math.max(at.step, mostSteps));
  }

  /** The entropy model may be late by a quarter of its share; it never gets more steps than planned. */
  private newEntropyEnd({ step, steps }: Position): number | null {
    const { work, rates } = this;
    this.entropyEnd ??= this.now() + 1.25 * work.entropySteps * rates.entropyStep;
    const fits = step + Math.max(0, Math.floor((this.entropyEnd - this.now()) / rates.entropyStep));
    return fits < steps ? fits : null;
  }
}

/** Rates as planned, with steps as they are now. A machine on which steps have become slower is slower at the end as well. */
function slowed(planned: Rates, step: number, entropyStep: number): Rates {
  const factor = planned.step > 0 ? Math.max(1, step / planned.step) : 1;
  const { evaluatedByte, countedByte, mixedByte } = planned;
  return {
    ...planned,
    entropyStep,
    step,
    evaluatedByte: factor * evaluatedByte,
    countedByte: factor * countedByte,
    mixedByte: factor * mixedByte,
  };
}
