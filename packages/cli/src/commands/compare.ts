/** @file `blt compare`: learning curves of runs in one page, or as JSON. */
import { writeFile } from 'node:fs/promises';
import { comparePage, differences } from '../report/compare-page.ts';
import { heldOutFigure, type RunDetails, runDetails } from '../run/summary.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { say, sayJson } from '../terminal/output.ts';

export interface CompareFlags {
  readonly html: string;
  readonly json?: boolean;
}

/** `blt compare`. @returns the exit code */
export async function compareCommand(paths: readonly string[], flags: CompareFlags): Promise<number> {
  const runs: RunDetails[] = [];
  for (const path of paths) runs.push(await runDetails(path));
  if (flags.json) {
    const summaries = runs.map(({ record: _, metrics: __, ...summary }) => summary);
    sayJson({ runs: summaries, differences: differences(runs) });
    return 0;
  }
  for (const run of runs) {
    const figure = heldOutFigure(run);
    const best = figure === null ? 'not evaluated yet' : `${figure} at step ${run.best!.step}`;
    say(`${run.name.padEnd(20)} ${best} (${run.state})`);
  }
  try {
    await writeFile(flags.html, comparePage(runs));
  } catch (error) {
    throw new UserError(`cannot write ${flags.html}: ${reason(error)}`, 1, { cause: error });
  }
  say(`page                 ${flags.html}`);
  return 0;
}
