/** @file `blt study`: experiments as files, runs in folders, results.json, and one page of figures. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createWasmBackend } from '@blt-ts/tensor';
import * as z from 'zod';
import { isCorpus, noCorpus } from '../study/corpora.ts';
import { type Experiment, experimentNames, readExperiment, smokeOf } from '../study/experiment.ts';
import { measure } from '../study/measure.ts';
import { doJob, doRuns, type FailedRun, type Job } from '../study/queue.ts';
import { gather, readResults, resultsText, takeOver } from '../study/results.ts';
import { runConfig, runName } from '../study/run-config.ts';
import { StudyFolder } from '../study/run-folders.ts';
import { groupBy } from '../study/statistics.ts';
import { studyPage } from '../study/study-page.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { note, say } from '../terminal/output.ts';
import { endWithParent } from '../threads/end-with-parent.ts';

/** The flags of `blt study`. */
export interface StudyFlags {
  readonly hours?: number;
  readonly jobs?: number;
  readonly smoke?: boolean;
  readonly shard?: string;
  readonly out?: string;
  readonly corpus?: string;
  readonly results?: string;
  readonly from?: string;
  /** One job as JSON: what this command gives to the processes that it starts. */
  readonly one?: string;
}

/** `2/8` as a share. @throws UserError */
function shardOf(text: string | undefined): { i: number; n: number } | null {
  if (text === undefined) return null;
  const [, i, n] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (i >= 1 && i <= n) return { i, n };
  throw new UserError(`--shard ${text} is no share; give i/n with i from 1 to n, such as 2/8`, 2);
}

function jobOf(text: string): Job {
  const { config, measures, weights } = JSON.parse(text);
  return { config: runConfig.parse(config), measures: z.array(measure).parse(measures), weights };
}

/** The runs that failed, as one sentence for each reason. */
function failures(failed: readonly FailedRun[]): string {
  const lines = [...groupBy(failed, ({ why }) => why)].map(
    ([why, runs]) => `  ${runs.map(({ config }) => runName(config)).join(', ')}: ${why}`,
  );
  return `${counted(failed.length, 'run')} failed; the same command tries them again\n${lines.join('\n')}`;
}

/** The experiments and all others that have a finished run in the folder, by name. So a run of one leaves the figures of the others on the page. */
function withOthersBegun(given: readonly Experiment[], folder: StudyFolder, flags: StudyFlags): Experiment[] {
  const names = given.map(({ name }) => name);
  const others = experimentNames()
    .filter((name) => !names.includes(name))
    .map((name) => readExperiment(name, flags.corpus))
    .map((one) => (flags.smoke ? smokeOf(one) : one))
    .filter(({ runs }) => runs.some(({ config }) => folder.isDone(config)));
  return [...given, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `blt study`. @returns the exit code */
export async function study(name: string | undefined, flags: StudyFlags): Promise<number> {
  const folder = new StudyFolder(flags.out ?? (flags.smoke ? 'study-smoke' : 'study'));
  if (flags.one !== undefined) {
    endWithParent();
    await doJob(jobOf(flags.one), folder, createWasmBackend({ threads: 1 }));
    return 0;
  }
  if (flags.results !== undefined) {
    await folder.write(folder.path('study.html'), studyPage(await readResults(flags.results)));
    say(`page                 ${folder.path('study.html')}`);
    return 0;
  }
  const named = (name === undefined ? experimentNames() : [name]).map((one) => readExperiment(one, flags.corpus));
  for (const { config } of named.flatMap(({ runs }) => runs))
    if (!isCorpus(config.corpus)) throw new UserError(noCorpus(config.corpus), 2);
  if (flags.from !== undefined) {
    const taken = await takeOver(await readResults(flags.from), folder);
    note(`${counted(taken, 'run')} of ${flags.from} taken over`);
  }
  const experiments = flags.smoke ? named.map(smokeOf) : named;
  const jobs = experiments.flatMap(({ runs, measures }) => runs.map(({ config }) => ({ config, measures })));
  const { left, failed } = await doRuns(jobs, folder, {
    jobs: flags.smoke ? 1 : (flags.jobs ?? availableParallelism()),
    hours: flags.hours ?? null,
    shard: shardOf(flags.shard),
    here: flags.smoke ?? false,
  });
  const results = gather(withOthersBegun(experiments, folder, flags), folder);
  await folder.write(folder.path('results.json'), resultsText(results));
  // The page is drawn from the file, so that the file alone is enough to draw it again.
  const page = studyPage(JSON.parse(readFileSync(folder.path('results.json'), 'utf8')));
  await folder.write(folder.path('study.html'), page);
  say(`results              ${folder.path('results.json')}`);
  say(`page                 ${folder.path('study.html')}`);
  if (left.length > 0)
    note(`${counted(left.length, 'run was', 'runs were')} left for another time; the same command goes on with them`);
  if (failed.length > 0) throw new UserError(failures(failed));
  return 0;
}
