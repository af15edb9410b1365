/**
 * @file `blt train`: has the job of a new run or of one that is resumed made (training/job.ts), shows its plan, and trains. The training
 * itself is in training/training-run.ts.
 */
import { totalmem } from 'node:os';
import { corpusIds, dataTitle, heldOutText, leftOutText } from '../data/corpus.ts';
import { totalBytes } from '../data/document.ts';
import { tooFewHeldOut } from '../data/held-out-noise.ts';
import { parametersByPart } from '../run/model-size.ts';
import { printableMessage } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { endAtSignal } from '../terminal/interrupt.ts';
import { type TrainingOutput, trainingOutput } from '../terminal/training-output.ts';
import { type Job, memoryFor, newJob, resumedJob, type TrainFlags, type Warn } from '../training/job.ts';
import { planText } from '../training/plan-text.ts';
import { TrainingRun } from '../training/training-run.ts';

/** `blt train`. @returns the exit code */
export async function train(flags: TrainFlags): Promise<number> {
  const out = trainingOutput(flags.json === true);
  const warn = (message: string) => out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  const begun = endAtSignal(flags.resume ? 'the run is as it was saved' : 'no step was trained yet: nothing to save');
  const job = flags.resume ? await resumedJob(flags, warn) : await newJob(flags, out, warn);
  begun();
  try {
    return await trainJob(job, flags, out, warn);
  } finally {
    job.data.close();
    await job.place?.lock.release();
  }
}

/** Shows the plan of a run, with its estimate and warnings. */
function sayPlan(job: Job, out: TrainingOutput, warn: Warn): void {
  const { record, data, read } = job;
  const { plan } = record;
  const { backend, short, why } = job.choice;
  const { trainBytes, heldOutBytes } = data;
  const title = dataTitle(record.data, data.documents);
  const estimate = {
    seconds: job.budget.secondsLeft({ ...START, steps: plan.entropyModel?.loop.steps ?? 0 }),
    bytes: memoryFor(plan, { sample: record.sample, data }),
    measured: job.planned.measured,
  };
  const sample = record.sample
    ? `${humanBytes(totalBytes(read.train))} of the training part, ${humanBytes(totalBytes(read.heldOut))} of the held-out one, drawn from all over it`
    : null;
  const heldOut = heldOutText(data);
  const leftOut = record.dedupe ? leftOutText(data) : null;
  const facts = { data: title, trainBytes, heldOut, leftOut, sample, backend: short, estimate, folder: job.path };
  out.say(planText(plan, facts), {
    event: 'plan',
    folder: job.path,
    data: title,
    trainBytes,
    heldOutBytes,
    heldOut,
    split: data.mode,
    heldOutDocuments: data.heldOutDocuments,
    leftOutDocuments: data.leftOut.length,
    parameters: Object.fromEntries(parametersByPart(plan).map(({ part, count }) => [part, count])),
    steps: plan.model.loop.steps,
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

/** Shows the plan and, unless it is a dry run, trains. @returns the exit code */
async function trainJob(job: Job, flags: TrainFlags, out: TrainingOutput, warn: Warn): Promise<number> {
  const { record, data, read } = job;
  const { backend, why } = job.choice;
  sayPlan(job, out, warn);
  if (!job.place) return 0;
  const run = new TrainingRun(
    {
      folder: job.place.folder,
      record,
      end: read.end,
      trainBytes: data.trainBytes,
      heldOut: read.heldOut,
      heldOutBytes: data.heldOutBytes,
      budget: job.budget,
      compressorSeconds: record.fittedMinutes && COMPRESSOR_SHARE * 60 * record.fittedMinutes,
      title: dataTitle(record.data, data.documents),
      corpus: corpusIds(read),
      warmStart: job.warmStart,
      backend,
      why,
      detectAnomaly: flags.detectAnomaly === true,
    },
    out,
  );
  return run.train();
}

/** Share of a limited time that the compressors of the report may take. */
const COMPRESSOR_SHARE = 0.05;

const START = { phase: 'entropy model', step: 0 } as const;
