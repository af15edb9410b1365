/** @file From options to a plan: how long its work takes here, what fits into the time asked for, and which bytes it reads. */

import { totalmem } from 'node:os';
import {
  bltPlan,
  ConfigError,
  type Corpus,
  countParameters,
  type Given,
  planRun,
  type RunOptions,
  type RunPlan,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { measureGflops } from '../config/backend-choice.ts';
import { corpusIds } from '../data/corpus.ts';
import { type Document, totalBytes } from '../data/document.ts';
import { sampleDocuments } from '../data/sample.ts';
import type { Split } from '../data/split.ts';
import { UserError } from '../terminal/errors.ts';
import { humanDuration } from '../terminal/human-units.ts';
import {
  bytesPerStep,
  type Fit,
  fitInto,
  memoryOf,
  type Rates,
  ratesByFormula,
  secondsOf,
  type Work,
  workOf,
} from './forecast.ts';
import { rehearse } from './rehearsal.ts';
import { wallSeconds } from './time-budget.ts';

/** How much of a corpus a run reads; null: all of it. */
export interface Sample {
  readonly trainBytes: number | null;
  readonly heldOutBytes: number | null;
}

export interface PlannedRun {
  readonly plan: RunPlan;
  readonly sample: Sample;
  readonly rates: Rates;
  readonly work: Work;
  /** The rates were measured, not computed. */
  readonly measured: boolean;
}

/** Held-out bytes that a run measures at most. The standard error of a figure on them is about 0.005 bits per byte. */
const MOST_HELD_OUT_BYTES = 2 ** 20;
/** A threshold and an entropy model want to see this much, however few the steps are. */
const LEAST_SAMPLE_BYTES = 2 ** 20;
/** Rows vary in length; a run that needs a little more than its sample begins it anew. */
const MARGIN = 1.2;
/** Shorter runs are not rehearsed: it would take as long. */
const WORTH_REHEARSING_SECONDS = 20;
/** The rehearsal's share of the time, and its limits in seconds. */
const REHEARSAL = { share: 0.04, least: 1, most: 8 };
/** Fewer steps than this teach a model next to nothing. */
const FEW_STEPS = 100;

/** Bytes of the training part that the planned steps read. */
function neededBytes(plan: RunPlan, steps = plan.model.loop.steps): number {
  const { entropyModel } = plan;
  const entropyBytes = entropyModel ? entropyModel.rowBytes * entropyModel.loop.batchRows * entropyModel.loop.steps : 0;
  return Math.ceil(Math.max(LEAST_SAMPLE_BYTES, MARGIN * Math.max(steps * bytesPerStep(plan), entropyBytes)));
}

/** Both parts of a corpus. */
export interface Documents {
  readonly train: readonly Document[];
  readonly heldOut: readonly Document[];
}

/** The documents that a run reads. The same record gives the same ones. */
export function sampled(split: Split, sample: Sample | undefined, seed: number): Documents {
  const { trainBytes = null, heldOutBytes = null } = sample ?? {};
  return {
    train: trainBytes === null ? split.train : sampleDocuments(split.train, trainBytes, seed),
    heldOut: heldOutBytes === null ? split.heldOut : sampleDocuments(split.heldOut, heldOutBytes, seed),
  };
}

const parameterCount = ({ config }: RunPlan): number => countParameters(bltPlan(config));

/** @throws UserError: what does not fit was asked for on the command line or in the config file */
export function planOf(options: RunOptions, trainBytes: number): RunPlan {
  try {
    return planRun(options, trainBytes);
  } catch (error) {
    if (error instanceof ConfigError) throw new UserError(error.message, 2, { cause: error });
    throw error;
  }
}

export interface PlanRequest {
  readonly options: RunOptions;
  readonly split: Split;
  readonly backend: Backend;
  readonly warmStart: (plan: RunPlan) => Given;
  /** Steps follow from it unless the options name them. */
  readonly minutes: number | null;
  readonly warn: (message: string) => void;
}

/** True if the number of steps follows from the time. */
export const isFitted = ({ options, minutes }: Pick<PlanRequest, 'options' | 'minutes'>): boolean =>
  minutes !== null && options.steps === undefined;

/**
 * The plan of a new run. Its speed is measured by a short rehearsal where the run is long or its time is limited, and computed from
 * a formula otherwise.
 * @throws UserError if what is asked for does not fit together, or nothing fits into the time
 */
export async function planNewRun(request: PlanRequest): Promise<PlannedRun> {
  const { options, split, backend, warmStart, minutes, warn } = request;
  const trainBytes = totalBytes(split.train);
  const heldOutBytes = totalBytes(split.heldOut);
  let plan = planOf(options, trainBytes);
  // Entropies made before are those of whole documents.
  const whole = warmStart(plan).entropies != null || warmStart(plan).patches != null;
  let sample = sampleOf(plan, trainBytes, Math.min(heldOutBytes, MOST_HELD_OUT_BYTES), heldOutBytes, whole);
  const work = (): Work => workOf(plan, sample.trainBytes ?? trainBytes, sample.heldOutBytes ?? heldOutBytes);
  let rates = ratesByFormula(plan, await measureGflops(backend));
  const fitted = isFitted(request);
  const horizon = Math.min(secondsOf(work(), rates), minutes === null ? Number.POSITIVE_INFINITY : 60 * minutes);
  // What does not fit into the memory is met by the run itself, after its plan has been told.
  const fits = memoryOf(plan, trainBytes + heldOutBytes, 0) < totalmem();
  const rehearsed = fitted || (fits && horizon > WORTH_REHEARSING_SECONDS);
  if (rehearsed) {
    const seconds = Math.max(
      REHEARSAL.least,
      Math.min(REHEARSAL.most, REHEARSAL.share * (fitted ? 60 * minutes! : horizon)),
    );
    rates = await rehearse(
      plan,
      rehearsalCorpus(split, plan.seed),
      backend,
      warmStart(plan),
      parameterCount(plan),
      seconds,
    );
  }
  if (fitted) {
    const fit = fitOf(request, plan, rates, trainBytes, heldOutBytes, whole);
    plan = planOf(withFit(options, fit), trainBytes);
    sample = sampleOf(plan, trainBytes, fit.heldOutBytes, heldOutBytes, whole);
    warnOfFew(minutes!, plan, fit, rates, warn);
  }
  return { plan, sample, rates, work: work(), measured: rehearsed };
}

function fitOf(
  { minutes }: PlanRequest,
  plan: RunPlan,
  rates: Rates,
  trainBytes: number,
  heldOutBytes: number,
  whole: boolean,
): Fit {
  const fit = fitInto(60 * minutes! - wallSeconds(), plan, rates, {
    trainBytes,
    heldOutBytes: Math.min(heldOutBytes, MOST_HELD_OUT_BYTES),
    scoredFor: (steps) => (whole ? trainBytes : neededBytes(plan, steps)),
  });
  if (fit.steps >= 1) return fit;
  const needed = 60 * minutes! + (1 - fit.steps) * rates.step + FEW_STEPS * rates.step;
  throw new UserError(
    `--minutes ${minutes} is too short for a single step: reading the data, the entropy model, scoring and the evaluation take it all; give at least --minutes ${Math.ceil(needed / 6) / 10}, or a smaller --size`,
    2,
  );
}

const withFit = (options: RunOptions, fit: Fit): RunOptions => ({
  ...options,
  steps: fit.steps,
  entropySteps: options.entropySteps ?? (fit.entropySteps > 0 ? fit.entropySteps : undefined),
  evalEvery: options.evalEvery ?? fit.evalEvery,
  // The time was asked for: it is used. The best step is kept anyway.
  patience: options.patience ?? 0,
});

function warnOfFew(minutes: number, plan: RunPlan, fit: Fit, rates: Rates, warn: (message: string) => void): void {
  if (fit.steps >= FEW_STEPS) return;
  const enough = 60 * minutes + (FEW_STEPS - fit.steps) * rates.step;
  warn(
    `--minutes ${minutes} is enough for ${fit.steps} steps of this model here, too few to learn much; ${FEW_STEPS} steps take about ${humanDuration(enough)}${plan.config.global.hiddenSize > 128 ? ', a smaller --size less' : ''}`,
  );
}

function sampleOf(plan: RunPlan, trainBytes: number, measured: number, heldOutBytes: number, whole: boolean): Sample {
  const needed = neededBytes(plan);
  return {
    trainBytes: !whole && needed < trainBytes / MARGIN ? needed : null,
    heldOutBytes: !whole && measured < heldOutBytes ? measured : null,
  };
}

/** Enough for a few steps, from all over the corpus. */
function rehearsalCorpus(split: Split, seed: number): Corpus {
  return corpusIds({
    train: sampleDocuments(split.train, 2 ** 18, seed),
    heldOut: sampleDocuments(split.heldOut, 2 ** 14, seed),
  });
}
