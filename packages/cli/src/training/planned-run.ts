/** @file From options to a plan: how long its work takes here, what fits into the time asked for, and which bytes it reads. */

import { totalmem } from 'node:os';
import {
  bltPlan,
  bytesOfMixture,
  ConfigError,
  countParameters,
  MOST_TEXT_BYTES,
  planRun,
  type RunOptions,
  type RunPlan,
  timedSteps,
  type WarmStart,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { measureGflops } from '../config/backend-choice.ts';
import { corpusIds } from '../data/corpus.ts';
import { totalBytes } from '../data/document.ts';
import type { RunData, Sample } from '../data/run-data.ts';
import type { RunRecord } from '../run/record.ts';
import { UserError } from '../terminal/errors.ts';
import { bytesPerStep, type Rates, ratesByFormula, secondsOf, type Work, workOf } from './forecast.ts';
import { modelBytes, rememberedBytesOf } from './memory-estimate.ts';
import { rehearse } from './rehearsal.ts';
import {
  choosesSize,
  covers,
  type FittingSteps,
  type SizeInWords,
  sizeForTime,
  sizeInWords,
  tooLargeFor,
  withSize,
} from './size-for-time.ts';
import {
  atMost,
  fitOf,
  fitWithin,
  LEAST_BYTES_IN_TIME,
  MARGIN,
  MOST_HELD_OUT_BYTES,
  neededBytes,
  withFit,
} from './steps-in-time.ts';
import { wallSeconds } from './time-budget.ts';
import { hasRoomBeside } from './work-beside.ts';

/** A plan, and how long its work takes here. */
export interface PlannedRun {
  readonly plan: RunPlan;
  readonly sample: Sample;
  readonly rates: Rates;
  readonly work: Work;
  /** The rates were measured, not computed. */
  readonly measured: boolean;
  /** Where the size follows from the time: why it is this one, and what twice the time would buy. */
  readonly sizeInWords?: SizeInWords;
  /** Steps that are enough for the data, however much time is left. Only where the size follows from the time. */
  readonly mostSteps?: number;
}

/** A run of few steps measures this much, though it trains on less. The standard error is about 0.02 then. */
const LEAST_HELD_OUT_BYTES = 2 ** 17;
/** A threshold and an entropy model want to see this much, however few the steps are. */
const LEAST_SAMPLE_BYTES = 2 ** 20;
/** A run of fixed steps that is shorter is not rehearsed. That would take a fiftieth of its time, and its first steps give a better estimate. */
const WORTH_REHEARSING_SECONDS = 180;
/** The rehearsal's share of the time, less where the steps are fixed and it only serves the estimate, and its limits in seconds. */
const REHEARSAL = { share: 0.04, shareOfFixed: 0.01, least: 1, most: 8 };

/** Held-out bytes that the last evaluation measures. A run of few steps measures less, because that would take longer than the steps. */
const measuredBytes = (plan: RunPlan, heldOutBytes: number): number =>
  Math.min(
    heldOutBytes,
    MOST_HELD_OUT_BYTES,
    Math.max(LEAST_HELD_OUT_BYTES, plan.model.loop.steps * bytesPerStep(plan)),
  );

const parameterCount = ({ config }: RunPlan): number => countParameters(bltPlan(config));

/** Bytes of the training part that a plan is made for; of a mixture see `bytesOfMixture`. */
export function plannedBytes({ loaded, trainBytes }: RunData): number {
  if (!loaded?.weights) return trainBytes;
  const { weights, train } = loaded;
  return bytesOfMixture(
    weights,
    weights.map((_, s) => totalBytes(train.filter(({ source }) => source === s))),
  );
}

/** `planRun`. @throws UserError in place of ConfigError, because the options come from the command line or the config file */
export function planOf(options: RunOptions, trainBytes: number): RunPlan {
  try {
    return planRun(options, trainBytes);
  } catch (error) {
    if (error instanceof ConfigError) throw new UserError(error.message, 2, { cause: error });
    throw error;
  }
}

/** The wishes that a plan is made from. */
export interface PlanRequest {
  readonly options: RunOptions;
  readonly data: RunData;
  readonly backend: Backend;
  readonly warmStart: (plan: RunPlan) => WarmStart;
  /** Steps follow from it unless the options name them. */
  readonly minutes: number | null;
  /** Whether there will be a memory beside the model. */
  readonly memory: boolean;
  readonly warn: (message: string) => void;
}

/** True if the number of steps follows from the time. */
export const isFitted = ({ options, minutes }: Pick<PlanRequest, 'options' | 'minutes'>): boolean =>
  minutes !== null && options.steps === undefined;

/**
 * The plan of a new run. Its speed is measured by a short rehearsal where the run is long or its time is limited, and computed from
 * a formula otherwise. Where the time is given and no size, the size follows from the time.
 * @throws UserError if what is asked for does not fit together, or nothing fits into the time
 */
export async function planNewRun(request: PlanRequest): Promise<PlannedRun> {
  const { options, data, minutes } = request;
  if (!isFitted(request) || !choosesSize(options)) return planOfSize(request);
  const trainBytes = plannedBytes(data);
  const gflops = await measureGflops(request.backend);
  for (let below = tooLargeFor(trainBytes), slower = 1; ; ) {
    const chosen = sizeForTime((size) => stepsInTime(request, { ...options, size }, gflops / slower), below);
    const sized = { ...request, options: withSize(options, chosen) };
    const { enough, most } = timedSteps(bytesPerStep(planOf(sized.options, trainBytes)), trainBytes);
    const planned = await planOfSize(sized, most);
    const { steps } = planned.plan.model.loop;
    const [bytesSeen, mostBytes] = [steps, most].map((count) => count * bytesPerStep(planned.plan));
    // The formula was too hopeful: the rehearsal says by how much.
    if (chosen.isEnough && !covers(steps, enough)) {
      below = chosen.size;
      slower = planned.rates.step / ratesByFormula(planned.plan, gflops).step;
      continue;
    }
    return {
      ...planned,
      mostSteps: most,
      sizeInWords: sizeInWords(chosen, { bytesSeen, mostBytes, trainBytes, minutes: minutes! }),
    };
  }
}

/** The steps of a run of these options that fit into its time by formula, and those that are enough. */
function stepsInTime(request: PlanRequest, options: RunOptions, gflops: number): FittingSteps {
  const { data, minutes } = request;
  const plan = planOf(options, plannedBytes(data));
  const rates = { ...ratesByFormula(plan, gflops), beside: hasRoomBeside(request) };
  const { steps } = fitWithin(60 * minutes! - wallSeconds(), request, plan, rates, false);
  return { fit: steps, ...timedSteps(bytesPerStep(plan), plannedBytes(data)) };
}

/** The plan of a run of the size that its options say. @param mostSteps however much time there is */
async function planOfSize(request: PlanRequest, mostSteps = Number.POSITIVE_INFINITY): Promise<PlannedRun> {
  const { options, data, backend, warmStart, minutes } = request;
  const { trainBytes, heldOutBytes } = data;
  let plan = planOf(options, plannedBytes(data));
  // Entropies made before are those of whole documents.
  const whole = warmStart(plan).entropies != null || warmStart(plan).patches != null;
  let sample = sampleOf(plan, LEAST_SAMPLE_BYTES, trainBytes, measuredBytes(plan, heldOutBytes), heldOutBytes, whole);
  const work = (): Work =>
    workOf(
      plan,
      sample.trainBytes ?? trainBytes,
      sample.heldOutBytes ?? heldOutBytes,
      request.memory ? rememberedBytesOf(sample, trainBytes) : 0,
    );
  const beside = hasRoomBeside(request);
  let rates: Rates = { ...ratesByFormula(plan, await measureGflops(backend)), beside };
  const fitted = isFitted(request);
  const horizon = Math.min(secondsOf(work(), rates), minutes === null ? Number.POSITIVE_INFINITY : 60 * minutes);
  // A run that does not fit into memory is not rehearsed: it fails by itself, after its plan has been shown.
  const fits = modelBytes(plan) + data.bytesInMemory < totalmem();
  const rehearsed = fitted || (fits && horizon > WORTH_REHEARSING_SECONDS);
  if (rehearsed) {
    const seconds = Math.max(
      REHEARSAL.least,
      Math.min(REHEARSAL.most, fitted ? REHEARSAL.share * 60 * minutes! : REHEARSAL.shareOfFixed * horizon),
    );
    const measured = await rehearse(
      plan,
      corpusIds(data.rehearsal(plan.seed)),
      backend,
      warmStart(plan),
      parameterCount(plan),
      { seconds, rememberedBytes: request.memory ? rememberedBytesOf(sample, trainBytes) : 0 },
    );
    rates = { ...measured, beside };
  }
  if (fitted) {
    const fit = atMost(mostSteps, fitOf(request, plan, rates, whole));
    plan = planOf(withFit(options, fit), plannedBytes(data));
    sample = sampleOf(plan, LEAST_BYTES_IN_TIME, trainBytes, fit.heldOutBytes, heldOutBytes, whole);
    if (request.memory && fit.rememberedBytes < Math.min(trainBytes, MOST_TEXT_BYTES)) {
      sample = { ...sample, memoryBytes: fit.rememberedBytes };
    }
  }
  return { plan, sample, rates, work: work(), measured: rehearsed };
}

/** Plan and forecast of a run that is resumed. Its speed is computed by formula, until its steps are measured. */
export async function resumedPlan(record: RunRecord, data: RunData, backend: Backend): Promise<PlannedRun> {
  const { plan, sample = { trainBytes: null, heldOutBytes: null } } = record;
  const trainBytes = sample.trainBytes ?? data.trainBytes;
  const heldOutBytes = sample.heldOutBytes ?? data.heldOutBytes;
  const rates = { ...ratesByFormula(plan, await measureGflops(backend)), beside: hasRoomBeside({ backend }) };
  const remembered = record.care.memory ? rememberedBytesOf(sample, data.trainBytes) : 0;
  return { plan, sample, rates, work: workOf(plan, trainBytes, heldOutBytes, remembered), measured: false };
}

/** How much of each part is read; all of a part (null) if that is little more. @param whole read everything */
function sampleOf(
  plan: RunPlan,
  least: number,
  trainBytes: number,
  measured: number,
  heldOutBytes: number,
  whole: boolean,
): Sample {
  const needed = neededBytes(plan, least);
  return {
    trainBytes: !whole && needed < trainBytes / MARGIN ? needed : null,
    heldOutBytes: !whole && measured < heldOutBytes ? measured : null,
  };
}
