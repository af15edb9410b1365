/** @file How much memory a run takes, part by part: what its plan says, and what --max-memory is compared with. */
import { bltPlan, countParameters, MOST_TEXT_BYTES, type RunPlan, TextMemory } from '@blt-ts/blt';
import type { Backend, WasmBackend } from '@blt-ts/tensor';
import type { RunData, Sample } from '../data/run-data.ts';
import { compressorBytes, MOST_CONTEXT_BYTES } from '../report/compressors.ts';
import { bytesText, SHARE_OF_DATA } from '../stored/open-data.ts';
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { lanesOf } from './pass-threads.ts';

/** Bytes of the end of the training part that memory and compressors read when a run closes. */
export const END_BYTES = Math.max(MOST_TEXT_BYTES, MOST_CONTEXT_BYTES);

/** Bytes of the training part that the memory of a run remembers. */
export const rememberedBytesOf = (sample: Sample | undefined, trainBytes: number): number =>
  Math.min(trainBytes, sample?.memoryBytes ?? MOST_TEXT_BYTES);

/** A run whose memory is estimated. */
export interface EstimatedRun {
  readonly plan: RunPlan;
  readonly sample: Sample | undefined;
  readonly data: Pick<RunData, 'trainBytes' | 'heldOutBytes' | 'bytesInMemory'>;
  readonly backend: Backend;
  /** Whether it gets a memory beside the model. */
  readonly memory: boolean;
}

/** Bytes of each part at its peak. The peaks come together at the end of a run. */
interface MemoryParts {
  readonly engine: number;
  readonly model: number;
  readonly text: number;
  readonly memory: number;
  readonly compressors: number;
}

/** Node with the kernels, and one thread of them. Another thread has a heap of its own. */
const ENGINE = { bytes: 144e6, perThread: 11e6 };
/** A thread that computes passes of the steps: its JavaScript. Beside it there are gradients of its own. */
const PASS_THREAD_BYTES = 46e6;
/** The thread that makes the memory, without its table. */
const MEMORY_THREAD_BYTES = 60e6;
/** A byte of the corpus is in memory once, and a tenth more while it is read and hashed. */
const PER_LOADED_BYTE = 1.1;
/** A byte that the run reads: ids, rows, entropies, patches. */
const PER_READ_BYTE = 25;

/** Weights, gradients and two moments, the activations of one batch, and the hash tables three times more, because evaluations and saves copy them. */
export function modelBytes(plan: RunPlan): number {
  const { config, model } = plan;
  const rowBytes = (model.maxRowBytes ?? 2048) / 2;
  const patchBytes = Math.max(1, rowBytes / model.patchesPerRow);
  const values = countParameters(bltPlan(config));
  const local = config.encoder.numHiddenLayers + config.decoder.numHiddenLayers;
  const perByte =
    config.encoder.hiddenSize * 20 * local +
    (config.global.hiddenSize * 14 * config.global.numHiddenLayers) / patchBytes +
    4 * config.vocabSize;
  return (
    4 * (values * (model.loop.ema === null ? 4 : 5) + perByte * rowBytes * model.loop.batchRows + 3 * tableValues(plan))
  );
}

const tableValues = ({ config: { hash, encoder } }: RunPlan): number =>
  hash.functions * hash.groupSizes.length * hash.vocab * encoder.hiddenSize;

/** Bytes of the threads that share the passes of a step. */
function passThreadBytes(plan: RunPlan, backend: Backend): number {
  const gradients = 4 * (countParameters(bltPlan(plan.config)) - tableValues(plan));
  return (lanesOf(plan, backend) - 1) * (PASS_THREAD_BYTES + gradients);
}

/** @param loaded bytes of the corpus that are in memory */
function partsOf({ plan, sample, data, backend, memory }: EstimatedRun, loaded: number): MemoryParts {
  const { trainBytes, heldOutBytes } = data;
  const threads = (backend as Partial<WasmBackend>).threads ?? 1;
  const remembered = rememberedBytesOf(sample, trainBytes);
  const measured = sample?.heldOutBytes ?? heldOutBytes;
  return {
    engine: ENGINE.bytes + ENGINE.perThread * threads + passThreadBytes(plan, backend),
    model: modelBytes(plan),
    text: PER_LOADED_BYTE * loaded + PER_READ_BYTE * ((sample?.trainBytes ?? trainBytes) + measured),
    memory: memory ? MEMORY_THREAD_BYTES + TextMemory.tableBytes(remembered) + 3 * remembered : 0,
    compressors: compressorBytes(trainBytes, measured),
  };
}

/** The compressors have ended when the memory begins. */
const sum = ({ engine, model, text, memory, compressors }: MemoryParts): number =>
  engine + model + text + Math.max(memory, compressors);

/** Bytes in memory of data that stay on disk: what the run reads of them, and the end of the training part. */
const keptOfStored = ({ sample, data: { trainBytes, heldOutBytes } }: EstimatedRun): number =>
  (sample?.trainBytes ?? trainBytes) + (sample?.heldOutBytes ?? heldOutBytes) + Math.min(trainBytes, END_BYTES);

const loadedBytes = (run: EstimatedRun): number => run.data.bytesInMemory || keptOfStored(run);

/** Bytes of memory that a run takes. docs/large-corpora.md compares it with peaks that were measured. */
export const memoryFor = (run: EstimatedRun): number => sum(partsOf(run, loadedBytes(run)));

/** The least --max-memory with which the run begins, in whole megabytes. Data that are no more than an eighth of it are in memory. */
function leastMemory(run: EstimatedRun): number {
  const all = run.data.trainBytes + run.data.heldOutBytes;
  const takes = (loaded: number): number => 1e6 * Math.ceil(sum(partsOf(run, loaded)) / 1e6);
  const onDisk = takes(keptOfStored(run));
  return all > onDisk / SHARE_OF_DATA ? onDisk : Math.max(takes(all), SHARE_OF_DATA * all);
}

/** @throws UserError if a run is known to take more memory than it may */
export function checkMemory(most: number | null, run: EstimatedRun): void {
  if (most === null || memoryFor(run) <= most) return;
  const { engine, model, text, memory, compressors } = partsOf(run, loadedBytes(run));
  const beside =
    memory > compressors
      ? `the memory beside the model ${humanBytes(memory)} (--memory off leaves ${humanBytes(compressors)} for compressors)`
      : `compressors ${humanBytes(compressors)}`;
  throw new UserError(
    `this run takes about ${humanBytes(memoryFor(run))} of memory, more than --max-memory ${humanBytes(most)}: ` +
      `Node and its threads ${humanBytes(engine)}, the model ${humanBytes(model)}, its text ${humanBytes(text)}, ` +
      `${beside}; give --max-memory ${bytesText(leastMemory(run))}, ` +
      'or less work: --steps, --size, --batch-size, --row-bytes or --hash-vocab',
    2,
  );
}
