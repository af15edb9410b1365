/** @file `blt runs`: a table of the runs in a folder. */
import { heldOutFigure, listRuns, type RunSummary } from '../run/summary.ts';
import { humanBytes, humanCount, humanDuration } from '../terminal/human-units.ts';
import { oneLine, say, sayJson } from '../terminal/output.ts';

export interface RunsFlags {
  readonly runs: string;
  readonly json?: boolean;
}

const HEAD = ['run', 'state', 'step', 'held-out', 'seen', 'parameters', 'time', 'started'];

function cells(run: RunSummary): string[] {
  const name = oneLine(run.name);
  if (run.state === 'broken') return [name, 'broken', run.note ?? ''];
  return [
    name,
    run.note === null ? run.state : `${run.state} (${run.note})`,
    `${run.step}/${run.steps ?? '?'}`,
    heldOutFigure(run) ?? '-',
    humanBytes(run.bytes),
    run.parameters === null ? '-' : humanCount(run.parameters),
    humanDuration(run.seconds),
    (run.startedAt ?? '').slice(0, 16).replace('T', ' '),
  ];
}

/** `blt runs`. @returns the exit code */
export async function runsCommand({ runs: root, json }: RunsFlags): Promise<number> {
  const runs = await listRuns(root);
  if (json) {
    sayJson({ runs });
    return 0;
  }
  if (runs.length === 0) {
    say(`no runs in ${root}/; start one: blt train`);
    return 0;
  }
  const rows = [HEAD, ...runs.map(cells)];
  // A broken run's complaint is no column.
  const widths = HEAD.map((_, column) =>
    rows.reduce((most, row) => Math.max(most, row.length === HEAD.length ? row[column].length : 0), 0),
  );
  for (const row of rows) {
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  }
  return 0;
}
