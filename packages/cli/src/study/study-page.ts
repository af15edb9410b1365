/** @file The report of the study: a page of results.json with a figure and tables for each experiment. */
import { escapeHtml, htmlPage } from '../report/html-page.ts';
import { LINE_CHART_CSS, lineChart } from '../report/line-chart.ts';
import type { Reference } from './experiment.ts';
import { withInterval } from './intervals-in-words.ts';
import { groupTable, measureTables } from './measure-tables.ts';
import { finishedRuns, type Results } from './results.ts';
import {
  bpbRatio,
  computeMultiplier,
  type FinishedRun,
  frontier,
  groupBy,
  lineThrough,
  type Point,
} from './statistics.ts';
import { verdictTable } from './verdict-table.ts';
import { verdictsOf } from './verdicts.ts';

/** A colour for each arm, told apart by most people, in light and in dark. */
const COLORS = [
  '#1f77b4',
  '#d1495b',
  '#2a9d8f',
  '#e9a03b',
  '#8e5ea2',
  '#6c757d',
  '#4d7c0f',
  '#0e7490',
  '#be185d',
  '#7c4a03',
];
const CSS = `${LINE_CHART_CSS}main { max-width: 1000px; }
:root { ${COLORS.map((color, i) => `--arm${i}: ${color};`).join(' ')} }
.scroll { overflow-x: auto; }
.scroll th, .scroll td { overflow-wrap: normal; }
.scroll td:first-child { min-width: 9em; }
.words td { min-width: 7em; }
@media (max-width: 560px) {
  .words table, .words tbody, .words tr, .words td { display: block; }
  .words thead { display: none; }
  .words tr { padding: 10px 0; border-bottom: 1px solid var(--line); }
  .words td { padding: 2px 0; border: 0; }
  .words td:first-child { font-weight: 600; }
}`;

const figure = (x: number): string => (x === 0 ? '0' : x.toPrecision(3));

/** @param words whether its cells are sentences and not figures */
function table(heads: readonly string[], rows: readonly (readonly string[])[], words = false): string {
  const cells = (row: readonly string[]) =>
    row.map((cell, i) => `<td${i === 0 || words ? '' : ' class="number"'}>${escapeHtml(cell)}</td>`).join('');
  const body = rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n');
  const head = heads.map((name) => `<th>${escapeHtml(name)}</th>`).join('');
  return `<div class="scroll${words ? ' words' : ''}"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** Bits per byte against training FLOPs, each arm's frontier as a line. */
function chart(arms: ReadonlyMap<string, readonly Point[]>, references: readonly Reference[]): string {
  const series = [...arms].map(([name, points], i) => ({
    name,
    color: `--arm${i % COLORS.length}`,
    strokeWidth: 2.5,
    points: points.map(({ flops, bitsPerByte }) => ({ x: Math.log10(flops), y: bitsPerByte })),
  }));
  const from = series
    .flatMap(({ points }) => points)
    .reduce((least, { x }) => Math.min(least, x), Number.POSITIVE_INFINITY);
  return lineChart({
    series,
    references: references.map(({ name, bits_per_byte: y }) => ({ name, y })),
    xLabel: 'training FLOPs',
    yLabel: 'bits per byte, held out',
    formatX: (x) => (10 ** x).toExponential(1).replace('e+', 'e'),
    xFrom: Math.floor(10 * from) / 10 - 0.1,
  });
}

/** The best point of each arm and budget beside that of the baseline. */
function comparison(arms: ReadonlyMap<string, readonly Point[]>, baseline: string): string {
  const base = arms.get(baseline) ?? [];
  const rows = [...arms].flatMap(([name, points]) =>
    points.map((point) => {
      const budget = point.runs[0].config.flops;
      const other = base.find(({ runs: [{ config }] }) => config.flops === budget);
      const { flopsPerByte, millisecondsPerByte } = point.runs[0].result;
      return [
        name,
        figure(budget),
        point.bitsPerByte.toFixed(4),
        String(point.runs.length),
        other && name !== baseline ? withInterval(bpbRatio(point, other), 3) : '',
        name !== baseline ? withInterval(computeMultiplier(point, base), 2) : '',
        `${figure(flopsPerByte.model / 1e6)} + ${figure(flopsPerByte.patcher / 1e6)}`,
        figure(millisecondsPerByte),
      ];
    }),
  );
  const heads = [
    'arm',
    'budget',
    'bits per byte',
    'seeds',
    `ratio to ${baseline} (95 %)`,
    'compute multiplier (95 %)',
    'MFLOP/byte, model + patcher',
    'ms/byte',
  ];
  return table(heads, rows);
}

function lines(arms: ReadonlyMap<string, readonly Point[]>): string {
  const rows = [...arms].flatMap(([name, points]) => {
    const line = lineThrough(points);
    return line ? [[name, String(points.length), line.slope.toFixed(4), line.intercept.toFixed(4)]] : [];
  });
  return rows.length === 0 ? '' : table(['log10 BPB = a + b log10 FLOPs', 'budgets', 'b', 'a'], rows);
}

/** Every run, the ones that only tuned too. */
function appendix(runs: readonly FinishedRun[]): string {
  const rows = runs.map(({ arm, name, config, result: r }) => [
    arm,
    name,
    config.kind === 'token'
      ? `V${config.vocab} ${config.width}x${config.layers}`
      : `L${config.local_width} ${config.encoder_layers}+${config.decoder_layers} G${config.global_width}x${config.global_layers}`,
    String(config.lr),
    String(config.seed),
    figure(r.flops.total),
    r.bitsPerByte.toFixed(4),
    r.bytesPerUnit.toFixed(2),
    r.passes.toFixed(2),
    `${r.parameters.rest} + ${r.parameters.embedding} + ${r.parameters.tables} + ${r.parameters.patcher}`,
    String(Math.round(r.seconds.training)),
  ]);
  const heads = [
    'arm',
    'run',
    'size',
    'rate',
    'seed',
    'FLOPs',
    'bits per byte',
    'bytes per unit',
    'passes',
    'parameters: rest + embedding + tables + patcher',
    'seconds',
  ];
  return `<details><summary>All ${runs.length} runs</summary>${table(heads, rows)}</details>`;
}

/** Chart and tables of the runs on one text. */
function onOneText(runs: readonly FinishedRun[], baseline: string, references: readonly Reference[]): string {
  const arms = new Map([...groupBy(runs, ({ arm }) => arm)].map(([name, of]) => [name, frontier(of)]));
  const groups = groupTable(arms, baseline);
  return [
    `<div class="chart">${chart(arms, references)}</div>`,
    comparison(arms, baseline),
    groups === null ? '' : table(groups.heads, groups.rows),
    lines(arms),
  ].join('\n');
}

/** The page of results.json: the verdicts, then each experiment. */
export function studyPage(results: Results): string {
  const sections = results.experiments.map((experiment) => {
    const runs = finishedRuns(experiment, results);
    const head = `<h2 id="${escapeHtml(experiment.name)}">${escapeHtml(experiment.title)}</h2><p>${escapeHtml(experiment.question)}</p>`;
    const missing = experiment.runs.length - runs.length;
    const open =
      missing > 0 ? `<p class="muted">${missing} of ${experiment.runs.length} runs are still to be done.</p>` : '';
    if (runs.length === 0) return head + open;
    const corpora = groupBy(runs, ({ config }) => config.corpus);
    const parts = [...corpora].map(([corpus, of]) => {
      const references = experiment.references.filter((one) => one.corpus === undefined || one.corpus === corpus);
      const title = corpora.size > 1 ? `<h3>${escapeHtml(corpus)}</h3>` : '';
      return title + onOneText(of, experiment.baseline, references);
    });
    const measures = measureTables(runs).map((one) => table(one.heads, one.rows));
    return [head, open, ...parts, ...measures, appendix(runs)].join('\n');
  });
  const { heads, rows } = verdictTable(verdictsOf(results));
  const verdicts = `<h2 id="verdicts">Verdicts</h2>
<p>By the rules that were registered before the runs, corrected for being seven claims.</p>
${table(heads, rows, true)}`;
  const explained =
    '<p class="muted">Training FLOPs are three times the forward pass, entropy models included. Intervals resample held-out documents and seeds. A compute multiplier is the FLOPs of a run divided by those at which the line of the baseline reaches the same bits per byte.</p>';
  return htmlPage('blt study', `<h1>Patches and tokens</h1>${explained}${verdicts}${sections.join('\n')}`, CSS);
}
