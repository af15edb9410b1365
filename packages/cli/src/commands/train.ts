/**
 * @file `blt train`: has the job of a new run or of one that is resumed made (training/job.ts), shows its plan, and trains. The training
 * itself is in training/training-run.ts.
 */
import { corpusIds, dataTitle } from '../data/corpus.ts';
import { BOOK } from '../data/moby-dick.ts';
import { printableMessage } from '../terminal/errors.ts';
import { endAtSignal } from '../terminal/interrupt.ts';
import { noteUnreadInput } from '../terminal/output.ts';
import { type TrainingOutput, trainingOutput } from '../terminal/training-output.ts';
import { type Job, newJob, resumedJob, type TrainFlags, type Warn } from '../training/job.ts';
import { sayPlan } from '../training/say-plan.ts';
import { TrainingRun } from '../training/training-run.ts';

/** `blt train`. @returns the exit code */
export async function train(flags: TrainFlags): Promise<number> {
  const out = trainingOutput(flags.json === true);
  const warn = (message: string) => out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  const begun = endAtSignal(flags.resume ? 'the run is as it was saved' : 'no step was trained yet: nothing to save');
  const job = flags.resume ? await resumedJob(flags, warn) : await newJob(flags, out, warn);
  begun();
  if (!flags.resume && (job.record.data.length === 0 || job.record.data[0] === BOOK)) noteUnreadInput('--data -');
  try {
    return await trainJob(job, flags, out, warn);
  } finally {
    job.data.close();
    await job.place?.lock.release();
  }
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
      heldOutSources: data.loaded?.heldOutSources,
      title: dataTitle(record.data, data.documents, data.loaded?.weights),
      corpus: { ...corpusIds(read), heldOutApart: record.heldOut !== null },
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
