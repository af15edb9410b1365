/** @file `blt compare`: learning curves of runs in one page, or as JSON. */

import { checkCanWrite, writeFileAtomically } from '../files/atomic-file.ts';
import { comparePage, differences } from '../report/compare-page.ts';
import { heldOutFigure, type RunDetails, runDetails } from '../run/summary.ts';
import { say, sayJson } from '../terminal/output.ts';

export interface CompareFlags {
  readonly html: string;
  readonly json?: boolean;
}

/** Most settings that are listed on the terminal; the page has all. */
const MOST_LISTED = 20;

/** The settings in which the runs differ, each with the values of the runs in their order. */
function sayDifferences(different: ReturnType<typeof differences>): void {
  say(different.length === 0 ? 'different            nothing: the same plan and data' : 'different');
  for (const { path, values } of different.slice(0, MOST_LISTED)) {
    say(`  ${path}: ${values.map((value) => (value.length > 40 ? `${value.slice(0, 37)}...` : value)).join(' | ')}`);
  }
  if (different.length > MOST_LISTED) say(`  and ${different.length - MOST_LISTED} others, which the page lists`);
}

/** `blt compare`. @returns the exit code */
export async function compareCommand(paths: readonly string[], flags: CompareFlags): Promise<number> {
  if (!flags.json) checkCanWrite(flags.html);
  const runs: RunDetails[] = [];
  for (const path of paths) runs.push(await runDetails(path));
  if (flags.json) {
    const summaries = runs.map(({ record: _, metrics: __, ...summary }) => summary);
    sayJson({ runs: summaries, differences: differences(runs) });
    return 0;
  }
  const different = differences(runs);
  for (const run of runs) {
    const figure = heldOutFigure(run);
    const best = figure === null ? 'not evaluated yet' : `${figure} at step ${run.best!.step}`;
    say(`${run.name.padEnd(20)} ${best} (${run.state})`);
  }
  if (runs.length > 1) sayDifferences(different);
  await writeFileAtomically(flags.html, Buffer.from(comparePage(runs)));
  say(`page                 ${flags.html}`);
  return 0;
}
