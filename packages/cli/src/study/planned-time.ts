/** @file The time that runs and their measures take, from the times of those that are done. */
import type { Measure } from './measure.ts';
import type { RunConfig } from './run-config.ts';
import type { RunResult } from './run-folders.ts';

/** A run that is done. */
export interface TimedRun {
  readonly config: RunConfig;
  readonly result: RunResult;
}

/** A run to be done, or whose measures are. */
export interface Planned {
  readonly config: Pick<RunConfig, 'kind' | 'flops' | 'corpus'>;
  /** Whether it is still to be trained. */
  readonly trains: boolean;
  /** Measures still to be taken. */
  readonly measures: readonly Measure[];
}

/** FLOP/s of one thread, and ms for a byte to be scored, before any run of the study has been timed. */
const FIRST_SPEED = 20e9;
const FIRST_MILLISECONDS_PER_BYTE = 0.05;
/** Seconds of a run that its FLOPs do not explain: start, text, tokenizer. */
const FIXED_SECONDS = 6;

/** Documents that a noise spoils, where no result says how many there are. */
const DOCUMENTS = 23;
/** Noises, the clean text among them, and how much longer they make a text on average. */
const NOISES = 6;
const LONGER = 1.3;
/** Bytes of the four choices of an item, and of an item of a task. */
const CHOICE_BYTES = 4 * 320;
const TASK_BYTES = 40;
/** Tests of a corpus about letters: each task on words never seen and on words only read. */
const TESTS = 2;
const TASKS_OF_CHARACTERS = 8;
/** How much longer a byte takes to be made than to be scored. */
const DECODED = 10;

/** Bytes that a measure scores, about; context that is read again does not count. */
export function measureBytes(m: Measure, { corpus }: Planned['config'], documents = DOCUMENTS): number {
  if (m.kind === 'noise') return NOISES * LONGER * (documents * m.excerpt_bytes + (m.items * CHOICE_BYTES) / 2);
  if (m.kind === 'decoding') return DECODED * m.texts * (m.prompt_bytes + m.bytes);
  const tasks = corpus.startsWith('spelling') ? 1 : TASKS_OF_CHARACTERS;
  return (TESTS * tasks * m.items * TASK_BYTES) / 2;
}

/** The run of the same kind whose budget is nearest. */
function nearest(config: Planned['config'], done: readonly TimedRun[]): TimedRun | null {
  const distance = (one: TimedRun) => Math.abs(Math.log(one.config.flops / config.flops));
  return done
    .filter((one) => one.config.kind === config.kind)
    .reduce<TimedRun | null>((best, one) => (best === null || distance(one) < distance(best) ? one : best), null);
}

/** Seconds that a run and its measures are expected to take, on one thread, by the run whose budget is nearest. */
export function secondsOf({ config, trains, measures }: Planned, done: readonly TimedRun[]): number {
  const near = nearest(config, done);
  const speed = near
    ? (near.result.flops.model + near.result.flops.patcher) / near.result.seconds.training
    : FIRST_SPEED;
  const perByte = (near?.result.millisecondsPerByte ?? FIRST_MILLISECONDS_PER_BYTE) / 1000;
  const bytes = measures.reduce((sum, m) => sum + measureBytes(m, config, near?.result.documents.length), 0);
  const evaluation = near?.result.seconds.evaluation ?? 0;
  return FIXED_SECONDS + (trains ? config.flops / speed + evaluation : 0) + bytes * perByte;
}
