/** @file The figures beyond bits per byte as tables: groups of held-out documents, noise, and tasks. */
import { flopsInWords } from './evidence.ts';
import { ones, percent, withInterval } from './intervals-in-words.ts';
import type { DecodingFigures, Measured, NoiseFigures } from './measure.ts';
import { bpbRatio, type FinishedRun, groupBy, type Point } from './statistics.ts';

/** A table: its heads and its rows. */
export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The part before the slash; nothing where there is none. */
export const groupOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf('/')));

/** A run whose documents are those of one group alone. */
function part(run: FinishedRun, group: string): FinishedRun {
  const documents = run.result.documents.filter(({ name }) => groupOf(name) === group);
  return { ...run, result: { ...run.result, documents } };
}

/** Bits per byte of each group of documents, which is in their names before a slash; null where there are no groups. */
export function groupTable(arms: ReadonlyMap<string, readonly Point[]>, baseline: string): Table | null {
  const last = [...arms].flatMap(([name, points]) => (points.length > 0 ? [{ name, runs: points.at(-1)!.runs }] : []));
  const base = last.find(({ name }) => name === baseline);
  const groups = new Set(last[0]?.runs[0].result.documents.map(({ name }) => groupOf(name)) ?? []);
  if (base === undefined || groups.size < 2) return null;
  const rows = [...groups].flatMap((group) =>
    last.map(({ name, runs }) => {
      const of = (all: readonly FinishedRun[]): Point => ({
        runs: all.map((run) => part(run, group)),
        flops: 0,
        bitsPerByte: 0,
      });
      const { documents } = part(runs[0], group).result;
      const [bits, bytes] = documents.reduce(([a, b], d) => [a + d.bits, b + d.bytes], [0, 0]);
      const ratio = name === baseline ? '' : withInterval(bpbRatio(of(runs), of(base.runs)), 3);
      return [group, name, (bits / bytes).toFixed(4), ratio];
    }),
  );
  return { heads: ['documents', 'arm', 'bits per byte', `ratio to ${baseline} (95 %)`], rows };
}

const bpbOf = ({ documents }: NoiseFigures): number =>
  documents.reduce((sum, { bits }) => sum + bits, 0) / documents.reduce((sum, { bytes }) => sum + bytes, 0);

function noiseRows({ arm, config }: FinishedRun, noises: readonly NoiseFigures[]): string[][] {
  const clean = noises.find(({ noise }) => noise === 'clean');
  return noises.map((one) => [
    `${arm}, seed ${config.seed}`,
    one.noise,
    bpbOf(one).toFixed(4),
    clean === undefined ? '' : (bpbOf(one) - bpbOf(clean)).toFixed(4),
    percent(ones(one.choices), one.choices.length),
  ]);
}

function taskRows({ arm, config }: FinishedRun, tasks: Extract<Measured, { kind: 'tasks' }>['tasks']): string[][] {
  return tasks.map(({ task, items, whole }) => {
    const among = [...items].filter((_, i) => whole[i] === '1');
    return [
      `${arm}, ${config.corpus}`,
      task,
      percent(ones(items), items.length),
      String(items.length - ones(items)),
      percent(among.filter((digit) => digit === '1').length, among.length),
    ];
  });
}

function decodingRow({ arm, config }: FinishedRun, found: DecodingFigures | null): string[][] {
  if (found === null) return [];
  const { bytesRead, globalSteps, milliseconds } = found;
  const budget = `${arm}, ${flopsInWords(config.flops)} FLOPs`;
  return [[budget, (bytesRead / globalSteps).toFixed(2), (milliseconds / bytesRead).toFixed(3)]];
}

const HEADS = {
  noise: ['arm', 'noise', 'bits per original byte', 'more than clean', 'true continuation chosen (95 %)'],
  tasks: ['arm', 'task', 'right (95 %)', 'errors', 'right where the word is one token or patch (95 %)'],
  decoding: ['arm', 'bytes for each step of the global model, while writing', 'ms per byte'],
};

function measureRows(run: FinishedRun, found: Measured): string[][] {
  if (found.kind === 'noise') return noiseRows(run, found.noises);
  if (found.kind === 'tasks') return taskRows(run, found.tasks);
  return decodingRow(run, found.decoding);
}

/** The measures of the runs of an experiment. */
export function measureTables(runs: readonly FinishedRun[]): Table[] {
  const all = runs.flatMap((run) => Object.values(run.measures ?? {}).map((found) => ({ run, found })));
  const tables = [...groupBy(all, ({ found }) => found.kind)].map(([kind, of]) => ({
    heads: HEADS[kind as Measured['kind']],
    rows: of.flatMap(({ run, found }) => measureRows(run, found)),
  }));
  // Models that do not decode have been asked, and have nothing to show.
  return tables.filter(({ rows }) => rows.length > 0);
}
