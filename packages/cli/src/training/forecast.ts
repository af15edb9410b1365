/** @file How long a run takes and how much memory: what each kind of work costs, how much of it there is, and how much fits into a time. */
import { bltPlan, countParameters, type RunPlan } from '@blt-ts/blt';
import { flopsPerByte } from '../run/model-size.ts';

/** Seconds that each kind of work takes. */
export interface Rates {
  /** One update of the entropy model; 0 where none is trained. */
  readonly entropyStep: number;
  /** Scoring one byte with the entropy model; 0 where patches are cut without it. */
  readonly scoredByte: number;
  /** One update of the model. */
  readonly step: number;
  /** One held-out byte that the model is measured on. */
  readonly evaluatedByte: number;
  /** One save. */
  readonly save: number;
}

/** The work that is still to be done. */
export interface Work {
  readonly entropySteps: number;
  readonly scoredBytes: number;
  readonly steps: number;
  /** Evaluations while training, and the bytes of each. */
  readonly evaluations: number;
  readonly evaluationBytes: number;
  /** Bytes of the last evaluation, on which the figure of the report rests. */
  readonly finalBytes: number;
}

/** Compressors, a sample text and the report, at the end. */
const CLOSING_SECONDS = 3;
/** The last evaluation reads rows that overlap by half. */
const OVERLAP = 2;

/** Bytes that one update reads on average: rows have a number of patches, and their bytes vary around this. */
export const bytesPerStep = ({ model }: RunPlan): number =>
  ((model.maxRowBytes ?? 2048) / 2) * model.loop.batchRows * model.loop.accumulation;

/** Of a product's speed, what the kernels of a step reach on average. */
const SHARE_OF_PEAK = 0.6;

/** How long the work of a run takes by the formula's FLOPs, at 60% of the speed of a matrix product measured a moment ago. */
export function ratesByFormula(plan: RunPlan, gflops: number): Rates {
  const { model, entropyModel, config } = plan;
  const rowBytes = (model.maxRowBytes ?? 2048) / 2;
  const flops = flopsPerByte(plan, Math.max(1, rowBytes / model.patchesPerRow), rowBytes);
  const perSecond = gflops * 1e9 * SHARE_OF_PEAK;
  return {
    // Backward takes twice what forward takes.
    entropyStep: entropyModel
      ? (3 * flops.entropyModel * entropyModel.rowBytes * entropyModel.loop.batchRows) / perSecond
      : 0,
    scoredByte: flops.entropyModel / perSecond,
    step: (3 * flops.model * bytesPerStep(plan)) / perSecond,
    evaluatedByte: flops.model / perSecond,
    save: (16 * countParameters(bltPlan(config))) / 250e6,
  };
}

/**
 * Memory of a run: weights, gradients and two moments, the activations of one batch, the hash tables three times more (to evaluate and
 * to save, they are copied), the corpus, and what Node takes, 160 MB. Fitted to peaks that were measured, within 5% of them: 30 steps
 * of nano, tiny and small (351, 420, 578 MB), 2 of small with tables of 500,002 rows (10.6 GB).
 * @param corpusBytes of all documents: they are in memory once, and while they are read and hashed a tenth more
 * @param readBytes of those that the run reads: ids, rows, entropies and patches take 25 bytes for each
 */
export function memoryOf({ config, model }: RunPlan, corpusBytes: number, readBytes: number): number {
  const rowBytes = (model.maxRowBytes ?? 2048) / 2;
  const patchBytes = Math.max(1, rowBytes / model.patchesPerRow);
  const values = countParameters(bltPlan(config));
  const local = config.encoder.numHiddenLayers + config.decoder.numHiddenLayers;
  const perByte =
    config.encoder.hiddenSize * 20 * local +
    (config.global.hiddenSize * 14 * config.global.numHiddenLayers) / patchBytes +
    4 * config.vocabSize;
  const { functions, groupSizes, vocab } = config.hash;
  const tables = functions * groupSizes.length * vocab * config.encoder.hiddenSize;
  const floats = values * (model.loop.ema === null ? 4 : 5) + perByte * rowBytes * model.loop.batchRows + 3 * tables;
  return 4 * floats + 160e6 + 1.1 * corpusBytes + 25 * readBytes;
}

export function workOf(plan: RunPlan, trainBytes: number, heldOutBytes: number): Work {
  const { steps } = plan.model.loop;
  return {
    entropySteps: plan.entropyModel?.loop.steps ?? 0,
    scoredBytes: trainBytes + heldOutBytes,
    steps,
    evaluations: heldOutBytes === 0 ? 0 : Math.ceil(steps / Math.max(1, plan.evalEvery)),
    evaluationBytes: Math.min(heldOutBytes, plan.evalBytes),
    finalBytes: heldOutBytes,
  };
}

/** Seconds after the last step: the evaluation of the best one, compressors, sample, report. */
export const closingSeconds = (work: Work, rates: Rates): number =>
  OVERLAP * work.finalBytes * rates.evaluatedByte + CLOSING_SECONDS;

export const evaluationSeconds = (work: Work, rates: Rates): number =>
  work.evaluationBytes * rates.evaluatedByte + rates.save;

export const secondsOf = (work: Work, rates: Rates): number =>
  work.entropySteps * rates.entropyStep +
  work.scoredBytes * rates.scoredByte +
  work.steps * rates.step +
  work.evaluations * evaluationSeconds(work, rates) +
  closingSeconds(work, rates);

/** How a time is divided. */
export interface Fit {
  readonly entropySteps: number;
  readonly steps: number;
  readonly evalEvery: number;
  /** Held-out bytes that are measured at most. */
  readonly heldOutBytes: number;
}

/** Shares of the time: the entropy model's steps, the evaluations on the way, the last one. */
const ENTROPY_SHARE = 0.12;
const EVALUATION_SHARE = 0.08;
const FINAL_SHARE = 0.06;
/** Evaluations on the way: fewer where they are dear. */
const EVALUATIONS = { least: 2, most: 12 };
/** A figure on fewer bytes says little. */
export const LEAST_HELD_OUT_BYTES = 4096;

/**
 * Steps and bytes that fit into `seconds`: the entropy model gets 12% of them at most, held-out text 14%, scoring what it takes, and the model all
 * the rest. Steps can be 0: then nothing fits.
 * @param plan for a number of steps that is about right, from which its bytes per step and the most entropy steps are taken
 * @param trainBytes, heldOutBytes bytes of the corpus
 * @param scoredFor bytes of the training part that a run of so many steps, and entropy steps, reads
 */
export function fitInto(
  seconds: number,
  plan: RunPlan,
  rates: Rates,
  {
    trainBytes,
    heldOutBytes,
    scoredFor,
  }: { trainBytes: number; heldOutBytes: number; scoredFor: (steps: number, entropySteps: number) => number },
): Fit {
  const entropySteps = plan.entropyModel
    ? Math.max(1, Math.min(plan.entropyModel.loop.steps, Math.floor((ENTROPY_SHARE * seconds) / rates.entropyStep)))
    : 0;
  const affordable = Math.floor((FINAL_SHARE * seconds) / (OVERLAP * rates.evaluatedByte));
  const measured = Math.min(heldOutBytes, Math.max(LEAST_HELD_OUT_BYTES, affordable));
  const one = Math.min(measured, plan.evalBytes) * rates.evaluatedByte + rates.save;
  const evaluations =
    measured === 0
      ? 0
      : Math.max(EVALUATIONS.least, Math.min(EVALUATIONS.most, Math.floor((EVALUATION_SHARE * seconds) / one)));
  const left =
    seconds -
    entropySteps * rates.entropyStep -
    evaluations * one -
    OVERLAP * measured * rates.evaluatedByte -
    CLOSING_SECONDS -
    rates.save;
  // Scoring grows with the steps, up to the whole corpus.
  let steps = 0;
  for (let round = 0, scored = Math.min(trainBytes, scoredFor(0, entropySteps)); round < 20; round++) {
    const free = left - (scored + measured) * rates.scoredByte;
    steps = Math.max(0, Math.floor(free / rates.step));
    scored = Math.min(trainBytes, scoredFor(steps, entropySteps));
  }
  return {
    entropySteps,
    steps,
    evalEvery: Math.max(1, Math.ceil(steps / Math.max(1, evaluations))),
    heldOutBytes: measured,
  };
}

/** An average that follows what was measured lately. */
export class RunningMean {
  private sum = 0;
  private weight = 0;
  private readonly keep: number;

  /** @param memory about how many values count */
  constructor(memory: number) {
    this.keep = 1 - 1 / memory;
  }

  add(value: number): void {
    this.sum = this.keep * this.sum + value;
    this.weight = this.keep * this.weight + 1;
  }

  get value(): number | null {
    return this.weight === 0 ? null : this.sum / this.weight;
  }
}
