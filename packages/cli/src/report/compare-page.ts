/** @file Several runs in one page: their curves, their figures, and what was different about them. */

import type { RunDetails } from '../run/summary.ts';
import { humanBytes, humanCount, humanDuration, plusMinus } from '../terminal/human-units.ts';
import { escapeHtml, htmlPage } from './html-page.ts';
import { LINE_CHART_CSS, lineChart } from './line-chart.ts';

/** Colours that differ in lightness too, for eyes that do not tell all hues apart. */
const LIGHT = ['#1f6feb', '#c2410c', '#15803d', '#7c3aed', '#a16207', '#be185d', '#0e7490', '#4b5563'];
const DARK = ['#6cb0ff', '#fb923c', '#4ade80', '#c4b5fd', '#facc15', '#f9a8d4', '#67e8f9', '#d1d5db'];
const colorsCss = (colors: readonly string[]): string => colors.map((color, i) => `--run-${i}: ${color};`).join(' ');
const CSS = `
:root { ${colorsCss(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { ${colorsCss(DARK)} } }
.wide-table { overflow-x: auto; }
`;

type Figure = 'bitsPerByte' | 'heldOutBitsPerByte' | 'gradNorm' | 'learningRate';

function chart(runs: readonly RunDetails[], figure: Figure, yLabel: string, strokeWidth: number): string {
  return lineChart({
    series: runs.map(({ name, metrics }, i) => ({
      name,
      color: `--run-${i % LIGHT.length}`,
      strokeWidth,
      points: metrics.flatMap((m) => (typeof m[figure] === 'number' ? [{ x: m.bytes, y: m[figure] as number }] : [])),
    })),
    references: [],
    xLabel: 'training bytes seen',
    yLabel,
    formatX: (x) => (x === 0 ? '0' : humanBytes(x)),
  });
}

/** Every value of a plan by its path, as JSON. */
function flattened(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value)) flattened(child, path === '' ? key : `${path}.${key}`, into);
  } else into.set(path, value === Number.POSITIVE_INFINITY ? 'infinity' : (JSON.stringify(value) ?? ''));
  return into;
}

/** Paths of the plans on which the runs do not agree, with the value of each run. */
export function differences(runs: readonly Pick<RunDetails, 'record'>[]): { path: string; values: string[] }[] {
  const plans = runs.map(({ record }) =>
    flattened({ data: record.data, dataHash: record.dataHash.slice(0, 12), ...record.plan }),
  );
  const paths = new Set(plans.flatMap((plan) => [...plan.keys()]));
  return [...paths]
    .map((path) => ({ path, values: plans.map((plan) => plan.get(path) ?? '-') }))
    .filter(({ values }) => new Set(values).size > 1);
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="wide-table"><table>${line('th', head)}${rows.map((row) => line('td', row)).join('\n')}</table></div>`;
};

/** The page, self-contained as all reports are. @param settings of each run, by option, to stand beside its figures */
export function comparePage(
  runs: readonly RunDetails[],
  settings: readonly Readonly<Record<string, string>>[] = [],
): string {
  const options = [...new Set(settings.flatMap((one) => Object.keys(one)))];
  const names = runs.map(({ name }) => name);
  const different = differences(runs);
  const figures = runs.map((run, i) => [
    run.name,
    ...options.map((option) => settings[i]?.[option] ?? ''),
    run.full === null ? '-' : plusMinus({ ...run.full, bitsPerByte: run.full.heldOutBitsPerByte }, 3),
    run.best === null ? '-' : `${run.best.bitsPerByte.toFixed(3)} at step ${run.best.step}`,
    `${run.step} of ${run.steps}, ${run.state}`,
    humanBytes(run.bytes),
    humanCount(run.parameters ?? 0),
    humanDuration(run.seconds),
  ]);
  const body = [
    `<h1>${escapeHtml(names.join(', '))}</h1>`,
    table(
      [
        'run',
        ...options,
        ...['held-out bits per byte (full)', 'best quick evaluation', 'steps', 'bytes seen', 'parameters', 'time'],
      ],
      figures,
    ),
    `<p class="muted">Full: at the end of a run, on all held-out bytes, or on a sample where they are many; each is predicted with at least half a row of context. Quick: between steps,
on rows without overlap of a sample; it chooses the best step, and reads a little higher.</p>`,
    `<h2>Held-out bits per byte (quick evaluations)</h2>\n${chart(runs, 'heldOutBitsPerByte', 'bits per byte', 2.5)}`,
    `<h2>Training bits per byte</h2>\n${chart(runs, 'bitsPerByte', 'bits per byte', 1.25)}`,
    `<h2>Gradient norm</h2>\n${chart(runs, 'gradNorm', 'norm', 1.25)}`,
    '<h2>What was different</h2>',
    different.length === 0
      ? '<p class="muted">Nothing: the same plan and data.</p>'
      : table(
          ['', ...names],
          different.map(({ path, values }) => [path, ...values]),
        ),
  ];
  return htmlPage(`${names.join(', ')}: comparison`, body.join('\n'), CSS + LINE_CHART_CSS);
}
