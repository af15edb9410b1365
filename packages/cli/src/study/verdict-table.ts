/** @file The verdicts as a table, for the page and for the documentation. */
import type { Table } from './measure-tables.ts';
import type { Verdict } from './verdicts.ts';

/** The figure of a verdict, or what is missing for one. */
export function figureOf({ verdict, figure, notes, missing, hours }: Verdict): string {
  if (verdict !== 'not decided') return figure;
  if (missing.length === 0) return notes.join(' ');
  return `Runs missing: ${missing.join(', ')}. They take about ${hours.toPrecision(2)} hours of one core.`;
}

/** One row for each claim. */
export function verdictTable(verdicts: readonly Verdict[]): Table {
  const rows = verdicts.map((one) => [
    `${one.number}. ${one.title}`,
    one.verdict,
    figureOf(one),
    one.verdict === 'not decided' && one.missing.length === 0 ? '' : one.notes.join(' '),
  ]);
  return { heads: ['claim', 'verdict', 'figure (95 %)', 'beside it'], rows };
}
