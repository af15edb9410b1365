/** @file `blt study`: experiments as files, runs in folders, results.json, and one page of figures. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createWasmBackend } from '@blt-ts/tensor';
import { CORPORA } from '../study/corpora.ts';
import { experimentNames, readExperiment, smokeOf } from '../study/experiment.ts';
import { doRun } from '../study/one-run.ts';
import { doRuns } from '../study/queue.ts';
import { gather, readResults } from '../study/results.ts';
import { runConfig } from '../study/run-config.ts';
import { StudyFolder } from '../study/run-folders.ts';
import { studyPage } from '../study/study-page.ts';
import { UserError } from '../terminal/errors.ts';
import { note, say } from '../terminal/output.ts';

/** The flags of `blt study`. */
export interface StudyFlags {
  readonly hours?: number;
  readonly jobs?: number;
  readonly smoke?: boolean;
  readonly shard?: string;
  readonly out?: string;
  readonly corpus?: string;
  readonly results?: string;
  /** The configuration of one run, as JSON: what this command gives to the processes that it starts. */
  readonly one?: string;
}

/** `2/8` as a share. @throws UserError */
function shardOf(text: string | undefined): { i: number; n: number } | null {
  if (text === undefined) return null;
  const [, i, n] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (i >= 1 && i <= n) return { i, n };
  throw new UserError(`--shard ${text} is no share; give i/n with i from 1 to n, such as 2/8`, 2);
}

/** `blt study`. @returns the exit code */
export async function study(name: string | undefined, flags: StudyFlags): Promise<number> {
  const folder = new StudyFolder(flags.out ?? (flags.smoke ? 'study-smoke' : 'study'));
  if (flags.one !== undefined) {
    await doRun(runConfig.parse(JSON.parse(flags.one)), folder, createWasmBackend({ threads: 1 }));
    return 0;
  }
  if (flags.results !== undefined) {
    await folder.write(folder.path('study.html'), studyPage(await readResults(flags.results)));
    say(`page                 ${folder.path('study.html')}`);
    return 0;
  }
  if (flags.corpus !== undefined && !CORPORA.includes(flags.corpus)) {
    throw new UserError(`--corpus ${flags.corpus} is no corpus of the study; there are ${CORPORA.join(', ')}`, 2);
  }
  const named = (name === undefined ? experimentNames() : [name]).map((one) => readExperiment(one, flags.corpus));
  const experiments = flags.smoke ? named.map(smokeOf) : named;
  const configs = experiments.flatMap(({ runs }) => runs.map(({ config }) => config));
  const left = await doRuns(configs, folder, {
    jobs: flags.smoke ? 1 : (flags.jobs ?? availableParallelism()),
    hours: flags.hours ?? null,
    shard: shardOf(flags.shard),
    here: flags.smoke ?? false,
  });
  const results = gather(experiments, folder);
  await folder.write(folder.path('results.json'), `${JSON.stringify(results, null, 1)}\n`);
  // The page is drawn from the file, so that the file alone is enough to draw it again.
  const page = studyPage(JSON.parse(readFileSync(folder.path('results.json'), 'utf8')));
  await folder.write(folder.path('study.html'), page);
  say(`results              ${folder.path('results.json')}`);
  say(`page                 ${folder.path('study.html')}`);
  if (left.length > 0) note(`${left.length} runs were left for another time; the same command goes on with them`);
  return 0;
}
