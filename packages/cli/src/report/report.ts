/** @file The report of a run as one HTML page. */
import { humanBytes, humanCount, humanDuration } from '../terminal/human-units.ts';
import type { CompressorFigure } from './compressors.ts';
import { ENTROPY_STRIP_CSS, entropyStrip, type PatchedBytes } from './entropy-strip.ts';
import { escapeHtml, htmlPage } from './html-page.ts';
import { LINE_CHART_CSS, lineChart } from './line-chart.ts';

/** Everything a report shows. Plain JSON: it can be stored beside the run and rendered again. */
export interface ReportData {
  /** Name of the run. */
  run: string;
  /** How it ended, in one sentence: `finished`, `stopped early: held-out got worse for 5 evaluations; kept step 1200`. */
  status: string;
  /** Command line that repeats it. */
  command?: string;
  /** ISO 8601. */
  startedAt?: string;
  /** Wall-clock time of training. */
  seconds: number;
  steps: number;
  /** Name and size of the corpus, in words: `Moby Dick, 135 chapters`. */
  data: string;
  trainBytes: number;
  /** Those that were drawn to be trained on; left out or null: all. */
  sampleBytes?: number | null;
  /** From the second pass on n-grams are hidden from the model in training, which the curve shows. */
  hidesNgrams?: boolean;
  heldOutBytes: number;
  /** Training bytes seen, repeats counted. */
  bytesSeen: number;
  /** Mean bytes per patch on the held-out part. */
  patchSizeMean?: number;
  /** Which kernels ran, and why those: `wasm, 2 threads`. */
  backend: string;
  /**
   * The best step and its full evaluation: the held-out bytes or a sample of them, each with at least half a row of context. Null when nothing was held out or
   * evaluated. The points of the curve are quick evaluations: rows without overlap, on a sample.
   */
  best: { step: number; bytes: number; heldOutBitsPerByte: number; standardError?: number | null } | null;
  /** The bytes of the full evaluation, in words: `all 119 kB`, `1.05 MB of 40.0 MB`. */
  measured: string;
  compressors: readonly CompressorFigure[];
  parameters: readonly { part: string; count: number }[];
  /** One entry a report; a figure that was not measured then is null or left out. */
  curve: readonly { bytes: number; train?: number | null; heldOut?: number | null }[];
  /** Held-out excerpt. */
  excerpt?: PatchedBytes;
  /** Generated texts, oldest first, already made printable. */
  samples: readonly { step: number; prompt: string; text: string }[];
  /** Resolved configuration. */
  config: unknown;
}

const CSS = `
.headline { font-size: 1.1rem; margin: 16px 0; }
.headline strong { font-size: 1.9rem; font-variant-numeric: tabular-nums; }
.bars { width: 100%; }
.bars td:nth-child(3) { width: 55%; vertical-align: middle; }
.bars i { display: block; height: 14px; min-width: 2px; border-radius: 3px; background: var(--line); }
.bars .own i { background: var(--held); }
.bars .own td { font-weight: 600; }
.facts th { width: 11em; }
.sample { margin: 0 0 16px; }
.sample figcaption { color: var(--muted); font-size: 0.9rem; margin-bottom: 4px; }
.sample .prompt { color: var(--muted); }
@media (max-width: 560px) { .facts th { width: 7.5em; } .bars td:nth-child(3) { width: 24%; } }
`;

/** The report of a run as one self-contained HTML page: no script, no request, light and dark, wide and narrow. */
export function renderReport(data: ReportData): string {
  const sections = [
    `<h1>${escapeHtml(data.run)}</h1>\n<p class="muted">${escapeHtml(data.status)}</p>`,
    headline(data),
    section('Held-out bits per byte against compressors', comparison(data)),
    section('Learning curve', curve(data)),
    section('Summary', facts(data)),
    section('Parameters', parameters(data)),
    data.excerpt && section('Where the held-out text is cut', entropyStrip(data.excerpt)),
    data.samples.length > 0 && section('Samples', samples(data)),
    section('Configuration', `<pre>${escapeHtml(JSON.stringify(data.config, null, 2) ?? '')}</pre>`),
  ];
  return htmlPage(
    `${data.run}: training report`,
    sections.filter(Boolean).join('\n'),
    CSS + LINE_CHART_CSS + ENTROPY_STRIP_CSS,
  );
}

function section(title: string, body: string): string {
  return body === '' ? '' : `<h2>${escapeHtml(title)}</h2>\n${body}`;
}

function headline({ best, measured }: ReportData): string {
  if (!best) return '<p class="headline muted">No held-out figure: nothing was held out, or nothing evaluated yet.</p>';
  const value = best.heldOutBitsPerByte.toFixed(3);
  const error = best.standardError == null ? '' : ` ± ${best.standardError.toFixed(3)}`;
  return `<p class="headline"><strong>${value}</strong>${error} bits per byte on held-out text, best at step ${best.step}</p>
<p class="muted">Full evaluation: ${escapeHtml(measured)} held out, each byte predicted with at least half a row of context.${
    error === '' ? '' : ' ± is one standard error over rows.'
  }</p>`;
}

const HIDING =
  ' The training curve rises where the second pass begins, because rare n-grams are hidden from then on: the task gets harder, and the model no worse.';

/** Bytes of one pass. */
const bytesRead = ({ sampleBytes, trainBytes }: ReportData): number => sampleBytes ?? trainBytes;

/** Bars on a common scale from 0: length is cost, so shorter is better. */
function comparison({ best, compressors }: ReportData): string {
  const rows = compressors.map(({ name, bitsPerByte, seenTraining }) => ({
    name: seenTraining ? `${name}, having read the training part` : `${name.replace(/ alone$/, '')}, without it`,
    bitsPerByte,
    own: false,
  }));
  if (best) rows.push({ name: 'this model', bitsPerByte: best.heldOutBitsPerByte, own: true });
  if (compressors.length === 0) return '';
  rows.sort((a, b) => a.bitsPerByte - b.bitsPerByte);
  const most = rows.reduce((a, { bitsPerByte }) => Math.max(a, bitsPerByte), Number.NEGATIVE_INFINITY);
  const html = rows.map(({ name, bitsPerByte, own }) => {
    const bar = `<i style="width:${((100 * bitsPerByte) / most).toFixed(1)}%"></i>`;
    const value = `<td class="number">${bitsPerByte.toFixed(2)}</td>`;
    return `<tr${own ? ' class="own"' : ''}><td>${escapeHtml(name)}</td>${value}<td>${bar}</td></tr>`;
  });
  return `<table class="bars">${html.join('\n')}</table>`;
}

function curve(data: ReportData): string {
  const { curve: points, compressors, best, measured } = data;
  const repeats = data.hidesNgrams && data.bytesSeen > bytesRead(data);
  const line = (pick: 'train' | 'heldOut') =>
    points.map((point) => ({ x: point.bytes, y: point[pick] ?? Number.NaN })).filter(({ y }) => Number.isFinite(y));
  return `${lineChart({
    series: [
      { name: 'training', points: line('train'), color: '--train', strokeWidth: 1.25 },
      { name: 'held out', points: line('heldOut'), color: '--held', strokeWidth: 2.5 },
    ],
    references: compressors
      .filter(({ seenTraining }) => seenTraining)
      .map(({ name, bitsPerByte }) => ({ name, y: bitsPerByte })),
    mark: best
      ? { x: best.bytes, y: best.heldOutBitsPerByte, label: `best ${best.heldOutBitsPerByte.toFixed(2)}` }
      : undefined,
    xLabel: 'training bytes seen',
    yLabel: 'bits per byte',
    formatX: (x) => (x === 0 ? '0' : humanBytes(x)),
  })}
<p class="muted">Bits per byte; lower is better. Dashed: compressors that have read the training part. Each point of the
held-out curve reads about 16 kB of the held-out bytes, in rows without overlap. The point marked best is of ${escapeHtml(measured)} held out.${repeats ? HIDING : ''}</p>`;
}

function facts(data: ReportData): string {
  const { sampleBytes = null } = data;
  const readBytes = bytesRead(data);
  const over = sampleBytes === null ? '' : ` over ${humanBytes(sampleBytes)} that were drawn`;
  const passes = readBytes > 0 ? `${(data.bytesSeen / readBytes).toFixed(2)} passes${over}` : '';
  const rate = data.seconds > 0 ? `${humanBytes(data.bytesSeen / data.seconds)}/s` : '';
  const total = data.parameters.reduce((sum, { count }) => sum + count, 0);
  const rows: [string, string | undefined][] = [
    ['Data', data.data],
    ['Training bytes', `${grouped(data.trainBytes)} (${humanBytes(data.trainBytes)})`],
    ['Held-out bytes', `${grouped(data.heldOutBytes)} (${humanBytes(data.heldOutBytes)})`],
    ['Bytes seen', [`${grouped(data.bytesSeen)} (${humanBytes(data.bytesSeen)})`, passes].filter(Boolean).join(', ')],
    ['Steps', grouped(data.steps)],
    ['Time', [humanDuration(data.seconds), rate].filter(Boolean).join(', ')],
    ['Parameters', `${grouped(total)} (${humanCount(total)})`],
    ['Mean patch', data.patchSizeMean === undefined ? undefined : `${data.patchSizeMean.toFixed(2)} bytes`],
    ['Backend', data.backend],
    ['Started', data.startedAt],
    ['Command', data.command],
  ];
  const html = rows
    .filter((row): row is [string, string] => row[1] !== undefined)
    .map(([name, value]) => {
      const shown = name === 'Command' ? `<code>${escapeHtml(value)}</code>` : escapeHtml(value);
      return `<tr><th scope="row">${name}</th><td>${shown}</td></tr>`;
    });
  return `<table class="facts">${html.join('\n')}</table>`;
}

function parameters({ parameters: parts }: ReportData): string {
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return '';
  const most = parts.reduce((a, { count }) => Math.max(a, count), 0);
  const html = parts.map(({ part, count }) => {
    const share = `${((100 * count) / total).toFixed(1)}%`;
    const bar = `<i style="width:${((100 * count) / most).toFixed(1)}%"></i>`;
    return `<tr><td>${escapeHtml(part)}</td><td class="number">${humanCount(count)} · ${share}</td><td>${bar}</td></tr>`;
  });
  return `<table class="bars">${html.join('\n')}</table>`;
}

/** Newest first; all but three are folded away. */
function samples({ samples: texts }: ReportData): string {
  const html = [...texts].reverse().map(({ step, prompt, text }) => {
    const body = `<pre><span class="prompt">${escapeHtml(prompt)}</span>${escapeHtml(text)}</pre>`;
    return `<figure class="sample"><figcaption>step ${grouped(step)}</figcaption>${body}</figure>`;
  });
  const older = html.slice(3);
  const folded =
    older.length === 0 ? '' : `<details><summary>${older.length} older</summary>\n${older.join('\n')}</details>`;
  return html.slice(0, 3).join('\n') + folded;
}

/** 1192750 -> `1,192,750`, whatever the locale of the machine. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}
