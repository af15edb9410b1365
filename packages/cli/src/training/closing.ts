/** @file The end of a run. The best step is measured on the held-out bytes and writes a sample, and the report is made. */
import { join } from 'node:path';
import { type Checkpoint, type Evaluation, generate, generateAsync, type Session } from '@blt-ts/blt';
import { answerBytes, totalBytes } from '../data/document.ts';
import { worseThanChance } from '../data/held-out-noise.ts';
import { writeReport } from '../report/training-report.ts';
import { loadModel } from '../run/find-model.ts';
import { stepName } from '../run/folder.ts';
import { writeFullEvaluation } from '../run/full-evaluation.ts';
import { writeMemory } from '../run/memory-file.ts';
import type { Sample } from '../run/samples-file.ts';
import { printable } from '../terminal/byte-labels.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { giveBackMemory } from '../threads/collect-garbage.ts';
import { SteadyHeap } from '../threads/steady-heap.ts';
import type { Journal } from './journal.ts';
import type { MemoryBeside } from './memory-beside.ts';
import type { TrainingJob } from './training-job.ts';
import type { TrainingLog } from './training-log.ts';
import { WorkBeside } from './work-beside.ts';

/** Milliseconds between two looks at whether the run is to stop. */
const LOOK_MS = 100;

/** A run at its end, and whether somebody asks it to stop. */
export interface ClosingRun {
  readonly job: TrainingJob;
  readonly session: Session;
  readonly journal: Journal;
  readonly log: TrainingLog;
  /** The work that was begun beside the training. */
  readonly beside: WorkBeside;
  readonly isStopped: () => Promise<boolean>;
}

/** Loads the best step, measures it, samples, writes the report. @returns false if the run was stopped before the end */
export async function closeRun(run: Omit<ClosingRun, 'beside'> & { beside: WorkBeside | null }): Promise<boolean> {
  const beside = run.beside ?? new WorkBeside(run.job);
  try {
    return await measureAndReport({ ...run, beside });
  } finally {
    await beside.end();
  }
}

async function measureAndReport(run: ClosingRun): Promise<boolean> {
  const { job, session, journal, log, beside } = run;
  const bestStep = session.best?.step ?? session.modelStep;
  const { checkpoint, folder: model } = await bestModel(run, bestStep);
  const heap = new SteadyHeap();
  const measured = measuredBytes(job);
  const memoryFile = beside.memory && (await remember(run, beside.memory));
  if (memoryFile === 'stopped') return false;
  let [full, withMemory]: (Evaluation | null)[] = [null, null];
  if (session.heldOutBytes > 0) {
    log.measuring(measured);
    const figures = await evaluateFully(run, checkpoint, heap);
    if (figures === null) return false;
    ({ alone: full, withMemory } = figures);
    log.measured();
    await writeFullEvaluation(job.folder.path, bestStep, full, withMemory, job.heldOutSources);
    const chance = worseThanChance(full.bitsPerByte, bestStep);
    if (chance !== null) log.warning(chance);
  }
  if (memoryFile) {
    const gain = full && withMemory && { alone: full.bitsPerByte, withMemory: withMemory.bitsPerByte };
    await writeMemory(job.folder.path, memoryFile, gain);
  }
  const compressors = await unlessStopped(beside.compressors, run.isStopped);
  if (compressors === null) return false;
  await writeSample(run, checkpoint, bestStep);
  const { seconds, samples } = journal;
  const facts = { data: job.title, backend: job.why, seconds, full, measured, compressors, samples };
  const { record, trainBytes, heldOut, heldOutBytes } = job;
  const report = await writeReport({
    ...{ folder: job.folder.path, record, session, checkpoint, trainBytes, heldOut, heldOutBytes },
    ...facts,
  });
  log.done({ full, withMemory, measured, compressors, seconds: journal.seconds, model, report }, session);
  return true;
}

/** The best step. The last one is at hand, and another is loaded into the memory of all that trained it: that has been saved. */
async function bestModel(
  { job, session }: ClosingRun,
  step: number,
): Promise<{ checkpoint: Checkpoint; folder: string }> {
  const last = step === session.modelStep ? session.disposeButModel() : null;
  if (last === null) session.dispose();
  giveBackMemory();
  const run = job.folder.path;
  return last ? { checkpoint: last, folder: join(run, stepName(step)) } : loadModel(run, job.backend);
}

/** The held-out bytes that are measured, in words. */
function measuredBytes({ heldOut, heldOutBytes }: TrainingJob): string {
  const answers = answerBytes(heldOut);
  if (answers !== null) return `${humanBytes(answers)} of answers`;
  const bytes = totalBytes(heldOut);
  return bytes < heldOutBytes ? `${humanBytes(bytes)} of ${humanBytes(heldOutBytes)}` : `all ${humanBytes(bytes)}`;
}

/** Waits until the memory of the training text is made. @returns its file */
async function remember({ log, isStopped }: ClosingRun, memory: MemoryBeside): Promise<Uint8Array | 'stopped'> {
  const file = await unlessStopped(memory.file, isStopped, () => log.progress('memory', memory.progress));
  log.measured();
  return file ?? 'stopped';
}

/** The figures of the best step. Null if the run was stopped before. */
async function evaluateFully(
  run: ClosingRun,
  { params }: Checkpoint,
  heap: SteadyHeap,
): Promise<{ alone: Evaluation; withMemory: Evaluation | null } | null> {
  const { session } = run;
  const { memory } = run.beside;
  const evaluating = memory ? session.evaluatingWithMemory(params, memory) : session.evaluatingFully(params);
  for (;;) {
    const next = await evaluating.next();
    if (next.done) return 'alone' in next.value ? next.value : { alone: next.value, withMemory: null };
    heap.step();
    run.log.progress('evaluation', next.value);
    if (await run.isStopped()) return null;
  }
}

/** The result of `work`, or null if the run is stopped before. @param look called while it is waited for */
async function unlessStopped<T>(
  work: Promise<T>,
  isStopped: () => Promise<boolean>,
  look: () => void = () => {},
): Promise<T | null> {
  let result: { readonly value: T } | null = null;
  const done = work.then((value) => {
    result = { value };
  });
  while (result === null) {
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    if (result !== null) break;
    look();
    if (await isStopped()) return null;
  }
  return (result as { readonly value: T }).value;
}

/** Lets the model write a little, into samples.jsonl and onto the terminal. */
export async function writeSample(
  { job, journal, log }: Pick<ClosingRun, 'job' | 'journal' | 'log'>,
  checkpoint: Checkpoint,
  step: number,
): Promise<void> {
  const { record, backend } = job;
  const prompt = record.data.length === 0 ? 'The whale ' : '';
  const options = { maxBytes: 160, temperature: 0.7, seed: record.plan.seed };
  const bytes: number[] = [];
  const made = backend.synchronous ? generate(checkpoint, prompt, options) : generateAsync(checkpoint, prompt, options);
  for await (const byte of made) bytes.push(byte);
  const sample: Sample = { step, prompt, text: printable(Uint8Array.from(bytes)) };
  journal.sample(sample);
  log.sample(sample);
}
