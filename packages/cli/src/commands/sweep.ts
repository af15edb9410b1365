/** @file `blt sweep`: trains a grid or a list of settings, and puts the runs side by side. */
import { basename, extname, join } from 'node:path';
import { availableThreads } from '@blt-ts/tensor';
import { writeFileAtomically } from '../files/atomic-file.ts';
import { comparePage } from '../report/compare-page.ts';
import { heldOutFigure, type RunDetails, runDetails } from '../run/summary.ts';
import { loadSweep, type SweepRun } from '../sweep/sweep-file.ts';
import { doSweep, isDone, prepareRuns } from '../sweep/sweep-queue.ts';
import { counted } from '../terminal/human-units.ts';
import { note, say, sayJson, warn } from '../terminal/output.ts';
import { shellWords } from '../terminal/shell-words.ts';

export interface SweepFlags {
  readonly out?: string;
  readonly jobs: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** A run of the sweep that is done. */
interface Result extends SweepRun {
  readonly details: RunDetails;
}

/** The figure that runs are ordered by. */
const figureOf = ({ details: { full, best } }: Result): number =>
  full?.heldOutBitsPerByte ?? best?.bitsPerByte ?? Number.POSITIVE_INFINITY;

/** The runs that are done, the best first. */
async function results(runs: readonly SweepRun[], folder: string): Promise<Result[]> {
  const done: Result[] = [];
  for (const run of runs) {
    if (isDone(folder, run)) done.push({ ...run, details: await runDetails(join(folder, run.name)) });
  }
  return done.sort((a, b) => figureOf(a) - figureOf(b));
}

const settingsText = ({ settings }: SweepRun): string =>
  Object.entries(settings)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');

/** Writes the page of the runs that are done. @returns its path */
async function writePage(done: readonly Result[], folder: string): Promise<string> {
  const path = join(folder, 'compare.html');
  const page = comparePage(
    done.map(({ details }) => details),
    done.map(({ settings }) => settings),
  );
  await writeFileAtomically(path, Buffer.from(page));
  return path;
}

/** The runs as a table, the best first. */
function sayTable(done: readonly Result[]): void {
  const width = done.reduce((most, { name }) => Math.max(most, name.length), 0);
  for (const run of done) say(`${run.name.padEnd(width)}  ${heldOutFigure(run.details) ?? 'not evaluated'}`);
}

/** The command that goes on with a sweep. */
export function againCommand(file: string, { out, jobs }: SweepFlags): string {
  const flags = [...(out === undefined ? [] : ['--out', out]), ...(jobs === 1 ? [] : ['--jobs', String(jobs)])];
  return shellWords(['blt', 'sweep', file, ...flags]);
}

/** `blt sweep`. @returns the exit code: 0, 1 if a run failed, or that of a signal */
export async function sweepCommand(file: string, flags: SweepFlags): Promise<number> {
  const runs = loadSweep(file);
  const folder = flags.out ?? join('runs', basename(file, extname(file)));
  if (flags.dryRun) {
    for (const run of runs) {
      const state = isDone(folder, run) ? '  (done)' : '';
      say(`${join(folder, run.name)}  ${settingsText(run)}${state}`);
    }
    return 0;
  }
  await prepareRuns(runs, folder);
  let ended = runs.filter((run) => isDone(folder, run)).length;
  if (ended > 0) note(`done already: ${ended} of ${counted(runs.length, 'run')}`);
  const failures: string[] = [];
  const stopped = await doSweep(runs, {
    folder,
    jobs: flags.jobs,
    threads: Math.max(1, Math.floor(availableThreads() / flags.jobs)),
    onEnd: async (run, failure) => {
      const place = `${++ended}/${runs.length}`;
      if (failure !== null) {
        failures.push(run.name);
        return warn(`${join(folder, run.name)}: ${failure}`);
      }
      await writePage(await results(runs, folder), folder);
      note(`${place}  ${run.name}  ${heldOutFigure(await runDetails(join(folder, run.name))) ?? ''}`);
    },
  });
  const done = await results(runs, folder);
  if (stopped !== null) {
    note(
      `stopped with ${done.length} of ${counted(runs.length, 'run')} done; the others are saved. Go on with:\n  ${againCommand(file, flags)}`,
    );
    return stopped;
  }
  const page = done.length > 0 ? await writePage(done, folder) : null;
  if (flags.json) {
    const rows = done.map(({ name, settings, details }) => ({
      name,
      settings,
      step: details.best?.step ?? null,
      heldOutBitsPerByte: details.full?.heldOutBitsPerByte ?? null,
      standardError: details.full?.standardError ?? null,
    }));
    sayJson({ folder, runs: rows, failed: failures, page });
  } else if (page !== null) {
    sayTable(done);
    say(`page  ${page}`);
  }
  return failures.length > 0 ? 1 : 0;
}
