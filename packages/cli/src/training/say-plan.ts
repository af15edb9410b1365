/** @file Shows the plan of a run before it begins: for people line by line, for machines as one event. */
import { totalmem } from 'node:os';
import type { Choice } from '../config/backend-choice.ts';
import { dataTitle, heldOutText, type LoadedCorpus, leftOutText } from '../data/corpus.ts';
import { answerBytes, totalBytes } from '../data/document.ts';
import { tooFewHeldOut } from '../data/held-out-noise.ts';
import { parametersByPart } from '../run/model-size.ts';
import type { RunRecord } from '../run/record.ts';
import { humanBytes } from '../terminal/human-units.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import { memoryOf } from './forecast.ts';
import { planText } from './plan-text.ts';
import type { Documents, PlannedRun } from './planned-run.ts';
import type { TimeBudget } from './time-budget.ts';

/** A run that is planned: its data, its record, and how long it takes. */
export interface PlannedJob extends LoadedCorpus {
  readonly path: string;
  readonly record: RunRecord;
  readonly choice: Choice;
  readonly planned: PlannedRun;
  readonly budget: TimeBudget;
}

const START = { phase: 'entropy model', step: 0 } as const;

/** Shows the plan of a run, with its estimate and warnings. @param read the documents that the run reads */
export function sayPlan(job: PlannedJob, read: Documents, out: TrainingOutput, warn: (message: string) => void): void {
  const { record } = job;
  const { plan } = record;
  const { backend, short, why } = job.choice;
  const trainBytes = totalBytes(job.train);
  const heldOutBytes = totalBytes(job.heldOut);
  const title = dataTitle(record.data, job.documents, job.weights);
  const readBytes = totalBytes(read.train) + totalBytes(read.heldOut);
  const estimate = {
    seconds: job.budget.secondsLeft({ ...START, steps: plan.entropyModel?.loop.steps ?? 0 }),
    bytes: memoryOf(plan, trainBytes + heldOutBytes, readBytes),
    measured: job.planned.measured,
  };
  const sample = record.sample
    ? `${humanBytes(totalBytes(read.train))} of the training part, ${humanBytes(totalBytes(read.heldOut))} of the held-out one, drawn from all over it`
    : null;
  const heldOut = heldOutText(job);
  const leftOut = record.dedupe ? leftOutText(job) : null;
  const answers = answerBytes(job.train);
  const corpus = { data: title, trainBytes, answers, heldOut, leftOut, sample };
  const facts = { ...corpus, backend: short, estimate, folder: job.path };
  out.say(planText(plan, facts), {
    event: 'plan',
    folder: job.path,
    data: title,
    trainBytes,
    answerBytes: answers,
    heldOutBytes,
    heldOut,
    split: job.mode,
    heldOutDocuments: job.heldOut.length,
    leftOutDocuments: job.leftOut.length,
    parameters: Object.fromEntries(parametersByPart(plan).map(({ part, count }) => [part, count])),
    steps: plan.model.loop.steps,
    mixture: plan.mixture ?? null,
    modelOrigin: plan.modelOrigin ?? null,
    globalOrigin: plan.globalOrigin ?? null,
    entropyOrigin: plan.entropyOrigin ?? null,
    sample: record.sample ?? null,
    lrGroups: plan.model.loop.groups ?? [],
    backend: why,
    estimate,
  });
  if (backend.synchronous && estimate.bytes > totalmem()) {
    warn(
      `this takes about ${humanBytes(estimate.bytes)} of memory, and the machine has ${humanBytes(totalmem())}; ` +
        'smaller: --size, --batch-size, --row-bytes, --hash-vocab, or --recompute',
    );
  }
  const few = tooFewHeldOut(heldOutBytes);
  if (few !== null) warn(few);
}
