/** @file Shows the plan of a run before it begins: for people line by line, for machines as one event. */
import { totalmem } from 'node:os';
import { dataTitle, heldOutText, leftOutText } from '../data/corpus.ts';
import { answerBytes, totalBytes } from '../data/document.ts';
import { tooFewHeldOut } from '../data/held-out-noise.ts';
import { parametersByPart } from '../run/model-size.ts';
import { humanBytes } from '../terminal/human-units.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import type { Job, Warn } from './job.ts';
import { memoryFor } from './memory-estimate.ts';
import { planText } from './plan-text.ts';

/** Shows the plan of a run, with its estimate and warnings. */
export function sayPlan(job: Job, out: TrainingOutput, warn: Warn): void {
  const { record, data, read } = job;
  const { plan } = record;
  const { backend, short, why } = job.choice;
  const { trainBytes, heldOutBytes } = data;
  const title = dataTitle(record.data, data.documents, data.loaded?.weights);
  const estimate = {
    seconds: job.budget.secondsLeft(job.at),
    bytes: memoryFor({ plan, sample: record.sample, data, backend, memory: record.care.memory }),
    measured: job.planned.measured,
  };
  const sample = record.sample
    ? `${humanBytes(totalBytes(read.train))} of the training part, ${humanBytes(totalBytes(read.heldOut))} of the held-out one, drawn from all over it`
    : null;
  const heldOut = heldOutText(data);
  const leftOut = record.dedupe ? leftOutText(data) : null;
  const answers = data.loaded && answerBytes(data.loaded.train);
  const corpus = { data: title, trainBytes, answers, heldOut, leftOut, sample };
  const { sizeInWords: size } = job.planned;
  const facts = { ...corpus, size, backend: short, estimate, isResumed: job.isResumed, folder: job.path };
  out.say(planText(plan, facts), {
    event: 'plan',
    folder: job.path,
    data: title,
    trainBytes,
    answerBytes: answers,
    heldOutBytes,
    heldOut,
    split: data.mode,
    heldOutDocuments: data.heldOutDocuments,
    leftOutDocuments: data.leftOut.length,
    parameters: Object.fromEntries(parametersByPart(plan).map(({ part, count }) => [part, count])),
    steps: plan.model.loop.steps,
    size: size ?? null,
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
