/** @file How long a run takes and how much memory: what each kind of work costs, how much of it there is, and how much fits into a time. */
import { bltPlan, countParameters, MOST_TEXT_BYTES, type RunPlan, studiedBytes } from '@blt-ts/blt';
import { orthogonalizeFlops } from '@blt-ts/blt/optim';
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
  /** One byte that the memory beside the model counts. */
  readonly countedByte: number;
  /** One byte that the memory predicts and learns from: the end of its text, and held-out bytes. */
  readonly mixedByte: number;
  /** Whether the memory is counted in another thread while the model is trained. */
  readonly beside: boolean;
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
  /** Bytes of the training text that the memory remembers; 0 without a memory. */
  readonly rememberedBytes: number;
}

/** Compressors, a sample text and the report, at the end. */
const CLOSING_SECONDS = 3;
/** The last evaluation reads rows that overlap by half. */
const OVERLAP = 2;

/** Bytes that one update reads on average: rows have a number of patches, and their bytes vary around this. */
export const bytesPerStep = ({ model }: RunPlan): number =>
  ((model.maxRowBytes ?? 2048) / 2) * model.loop.batchRows * model.loop.accumulation;

/** Share of the speed of a matrix product that the kernels of a step reach on average. */
const SHARE_OF_PEAK = 0.6;

/** Seconds a byte of a memory with the largest table. Measured in docs/laboratory/text-memory.md, for plans that are not rehearsed. */
const MEMORY_RATES = { countedByte: 10e-6, mixedByte: 35e-6, beside: false };

/** FLOPs with which Muon makes the momentum of its matrices orthogonal, in one update. */
function muonFlops({ config, model: { loop } }: RunPlan): number {
  if (!loop.muon) return 0;
  const { prefixes, iterations } = loop.muon;
  return bltPlan(config)
    .filter(({ name, shape }) => shape.length === 2 && prefixes.some((prefix) => name.startsWith(prefix)))
    .reduce((sum, { shape }) => sum + orthogonalizeFlops(shape, iterations), 0);
}

/** Seconds of each kind of work by the FLOPs of the formulas. @param gflops speed of a matrix product, measured a moment ago */
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
    step: (3 * flops.model * bytesPerStep(plan) + muonFlops(plan)) / perSecond,
    evaluatedByte: flops.model / perSecond,
    // Weights in the checkpoint, and weights and two moments in the training state: 16 bytes for each, at 250 MB/s.
    save: (16 * countParameters(bltPlan(config))) / 250e6,
    ...MEMORY_RATES,
  };
}

/** Evaluations while training. With 0 steps between them there is only the one at the end. */
const evaluationsOf = (steps: number, evalEvery: number): number =>
  evalEvery === 0 ? 1 : Math.ceil(steps / evalEvery);

/** The work of a whole run. Bytes are those that it reads, and those that its memory remembers. */
export function workOf(plan: RunPlan, trainBytes: number, heldOutBytes: number, rememberedBytes = 0): Work {
  const { steps } = plan.model.loop;
  return {
    entropySteps: plan.entropyModel?.loop.steps ?? 0,
    scoredBytes: trainBytes + heldOutBytes,
    steps,
    evaluations: heldOutBytes === 0 ? 0 : evaluationsOf(steps, plan.evalEvery),
    evaluationBytes: Math.min(heldOutBytes, plan.evalBytes),
    finalBytes: heldOutBytes,
    rememberedBytes,
  };
}

/** Seconds in which a memory of so much text is made. */
const memorySeconds = (bytes: number, { countedByte, mixedByte }: Rates): number =>
  bytes * countedByte + studiedBytes(bytes) * (mixedByte - countedByte);

/** The part of them that comes after the last step. */
const memoryAtEnd = (bytes: number, rates: Rates): number => (rates.beside ? 0 : memorySeconds(bytes, rates));

/** Seconds of one held-out byte of the last evaluation. */
const finalByte = (rates: Rates, withMemory: boolean): number =>
  OVERLAP * rates.evaluatedByte + (withMemory ? rates.mixedByte : 0);

/** Seconds after the last step: the memory unless it is made by then, the evaluation of the best step, compressors, sample, report. */
export const closingSeconds = ({ finalBytes, rememberedBytes }: Work, rates: Rates): number =>
  finalBytes * finalByte(rates, rememberedBytes > 0) + memoryAtEnd(rememberedBytes, rates) + CLOSING_SECONDS;

/** Seconds of one evaluation while training, and of the save before it. */
export const evaluationSeconds = (work: Work, rates: Rates): number =>
  work.evaluationBytes * rates.evaluatedByte + rates.save;

/** Seconds of all work. A memory that is counted beside the training may be ready later than the last step. */
export function secondsOf(work: Work, rates: Rates): number {
  const training =
    work.entropySteps * rates.entropyStep +
    work.scoredBytes * rates.scoredByte +
    work.steps * rates.step +
    work.evaluations * evaluationSeconds(work, rates);
  const made = rates.beside ? Math.max(training, memorySeconds(work.rememberedBytes, rates)) : training;
  return made + closingSeconds(work, rates);
}

/** How a time is divided. */
export interface Fit {
  readonly entropySteps: number;
  readonly steps: number;
  readonly evalEvery: number;
  /** Held-out bytes that are measured at most. */
  readonly heldOutBytes: number;
  /** Bytes of the training text that the memory remembers. */
  readonly rememberedBytes: number;
}

/** Shares of the time: the entropy model's steps, the evaluations on the way, the last one, the memory. */
const ENTROPY_SHARE = 0.12;
const EVALUATION_SHARE = 0.08;
const FINAL_SHARE = 0.06;
const MEMORY_SHARE = 0.05;
/** The memory's share where it is counted beside the training. It is ready in time then, also on a machine that gets slower. */
const MEMORY_SHARE_BESIDE = 0.4;
/** Evaluations on the way: fewer where they are dear. */
const EVALUATIONS = { least: 2, most: 12 };
/** A figure on fewer bytes says little. */
export const LEAST_HELD_OUT_BYTES = 4096;

/**
 * Steps and bytes that fit into `seconds`. The entropy model gets 12% of them at most, held-out text 14% and the memory 5%, or none where it is counted beside the training. Scoring takes what it needs,
 * and the model gets the rest. With 0 steps nothing fits.
 * @param plan for a number of steps that is about right, from which its bytes per step and the most entropy steps are taken
 * @param trainBytes, heldOutBytes bytes of the corpus
 * @param memory whether there is a memory beside the model
 * @param scoredFor bytes of the training part that a run of so many steps, and entropy steps, reads
 */
export function fitInto(
  seconds: number,
  plan: RunPlan,
  rates: Rates,
  {
    trainBytes,
    heldOutBytes,
    memory = false,
    scoredFor,
  }: {
    trainBytes: number;
    heldOutBytes: number;
    memory?: boolean;
    scoredFor: (steps: number, entropySteps: number) => number;
  },
): Fit {
  const entropySteps = plan.entropyModel
    ? Math.max(1, Math.min(plan.entropyModel.loop.steps, Math.floor((ENTROPY_SHARE * seconds) / rates.entropyStep)))
    : 0;
  const memoryShare = rates.beside ? MEMORY_SHARE_BESIDE : MEMORY_SHARE;
  const rememberedBytes = memory ? memoryIn(memoryShare * seconds, trainBytes, rates) : 0;
  const affordable = Math.floor((FINAL_SHARE * seconds) / finalByte(rates, rememberedBytes > 0));
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
    measured * finalByte(rates, rememberedBytes > 0) -
    memoryAtEnd(rememberedBytes, rates) -
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
    rememberedBytes,
  };
}

/** Bytes of text that a memory can remember in so many seconds. Half of a short text is studied, of a long one 256 kB. */
function memoryIn(seconds: number, trainBytes: number, rates: Rates): number {
  let bytes = Math.min(trainBytes, MOST_TEXT_BYTES);
  while (bytes > 0 && memorySeconds(bytes, rates) > seconds) bytes = Math.floor(0.9 * bytes);
  return bytes;
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
