/** @file The steps of a run whose time is given: how many fit, and what is said where these are few. */
import type { RunOptions, RunPlan } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { bytesPerStep, type Fit, fitInto, type Rates } from './forecast.ts';
import { wallSeconds } from './time-budget.ts';

/** Held-out bytes that a run measures at most. The standard error of a figure on them is about 0.005 bits per byte. */
export const MOST_HELD_OUT_BYTES = 2 ** 20;
/** The same where the number of steps follows from --minutes, because scoring takes some of that time. */
export const LEAST_BYTES_IN_TIME = 2 ** 18;
/** Rows vary in length, so a sample is larger than what the steps should read. A run that needs more begins the sample anew. */
export const MARGIN = 1.2;
/** Fewer steps than this teach a model next to nothing. */
const FEW_STEPS = 100;

/** No run is over in so short a time. */
const LEAST_MINUTES = 0.01;

/** A run whose time is given. */
export interface TimedRun {
  readonly data: { readonly trainBytes: number; readonly heldOutBytes: number };
  readonly minutes: number | null;
  readonly memory: boolean;
  readonly warn: (message: string) => void;
}

/** Bytes of the training part that the planned steps read, with a margin. */
export function neededBytes(plan: RunPlan, least: number, steps?: number, entropySteps?: number): number {
  const { entropyModel, model } = plan;
  const modelBytes = (steps ?? model.loop.steps) * bytesPerStep(plan);
  const entropyBytes = entropyModel
    ? entropyModel.rowBytes * entropyModel.loop.batchRows * (entropySteps ?? entropyModel.loop.steps)
    : 0;
  return Math.ceil(Math.max(least, MARGIN * Math.max(modelBytes, entropyBytes)));
}

/** The steps that fit into the time of a run. Where these are few, the time for enough is said. @throws UserError if nothing fits */
export function fitOf(request: TimedRun, plan: RunPlan, rates: Rates, whole: boolean): Fit {
  const { minutes, warn } = request;
  const spent = wallSeconds();
  const within = (limit: number): Fit => fitWithin(60 * limit - spent, request, plan, rates, whole);
  const fit = within(minutes!);
  if (fit.steps >= FEW_STEPS) return fit;
  // Tiny numbers would not grow.
  let enough = Math.max(minutes!, LEAST_MINUTES);
  while (within(enough).steps < FEW_STEPS) enough *= 1.05;
  const smaller = plan.config.global.hiddenSize > 128 ? ', or a smaller --size' : '';
  const instead = `give --minutes ${Math.ceil(10 * enough) / 10}, in which ${FEW_STEPS} steps fit${smaller}`;
  if (fit.steps < 1) {
    throw new UserError(
      `--minutes ${minutes} is too short for a single step: reading the data, the entropy model, scoring and the evaluation take it all; ${instead}`,
      2,
    );
  }
  warn(
    `--minutes ${minutes} is enough for ${counted(fit.steps, 'step')} of this model here, too few to learn much; ${instead}`,
  );
  return fit;
}

/** The steps that fit into so many seconds. @param whole everything is scored */
export const fitWithin = (
  seconds: number,
  { data: { trainBytes, heldOutBytes }, memory }: TimedRun,
  plan: RunPlan,
  rates: Rates,
  whole: boolean,
): Fit =>
  fitInto(seconds, plan, rates, {
    trainBytes,
    heldOutBytes: Math.min(heldOutBytes, MOST_HELD_OUT_BYTES),
    memory,
    scoredFor: (steps, entropySteps) =>
      whole ? trainBytes : neededBytes(plan, LEAST_BYTES_IN_TIME, steps, entropySteps),
  });

/** A fit with a bound to its steps, and as many evaluations. */
export const atMost = (most: number, fit: Fit): Fit =>
  fit.steps <= most ? fit : { ...fit, steps: most, evalEvery: Math.ceil((fit.evalEvery * most) / fit.steps) };

export const withFit = (options: RunOptions, fit: Fit): RunOptions => ({
  ...options,
  steps: fit.steps,
  entropySteps: options.entropySteps ?? (fit.entropySteps > 0 ? fit.entropySteps : undefined),
  evalEvery: options.evalEvery ?? fit.evalEvery,
  // The time was asked for: it is used. The best step is kept anyway.
  patience: options.patience ?? 0,
});
