/** @file Line charts as SVG. */
import { escapeHtml } from './html-page.ts';

export interface Point {
  x: number;
  y: number;
}

export interface Series {
  name: string;
  points: readonly Point[];
  /** CSS variable with its colour, e.g. `--train`. */
  color: string;
  /** Thin for noisy series, 2.5 for those that matter. */
  strokeWidth: number;
}

export interface LineChart {
  series: readonly Series[];
  /** Horizontal lines with a name, such as compressors. */
  references: readonly { name: string; y: number }[];
  /** One point to point out. */
  mark?: Point & { label: string };
  xLabel: string;
  yLabel: string;
  formatX: (x: number) => string;
  /** Where the axis begins (0). */
  xFrom?: number;
}

export const LINE_CHART_CSS = `
.chart svg { display: block; width: 100%; height: auto; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--muted); }
.chart .halo { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.chart .narrow { display: none; }
@media (max-width: 560px) { .chart .wide { display: none; } .chart .narrow { display: block; } }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 8px; padding: 0; list-style: none; font-size: 0.9rem; }
.legend i { display: inline-block; width: 22px; margin-right: 6px; vertical-align: middle; border-top: 3px solid; }
.legend i.dashed { border-top: 2px dashed var(--muted); }
`;

/** More points than this in one line are averaged together: the page is no place for raw data. */
const MAX_POINTS = 400;

/** The chart with its legend, drawn twice: the narrow drawing replaces the wide one on a phone, so that its text stays readable. */
export function lineChart(chart: LineChart): string {
  const series = chart.series
    .map((one) => ({ ...one, points: thinned(one.points.filter(isFinitePoint), MAX_POINTS) }))
    .filter((one) => one.points.length > 0);
  if (series.length === 0) return '<p class="muted">Nothing has been measured yet.</p>';
  const shown = { ...chart, series };
  const items = series.map((one) => `<li><i style="border-color:var(${one.color})"></i>${escapeHtml(one.name)}</li>`);
  if (chart.references.length > 0) items.push('<li><i class="dashed"></i>compressors</li>');
  return `<div class="chart">
<ul class="legend">${items.join('')}</ul>
${drawing(shown, 'wide', 828, 380)}
${drawing(shown, 'narrow', 400, 320)}
</div>`;
}

function drawing(chart: LineChart, className: string, width: number, height: number): string {
  const frame = { left: 44, right: width - 12, top: 30, bottom: height - 44 };
  const xMax = chart.series
    .flatMap(({ points }) => points)
    .reduce((a, { x }) => Math.max(a, x), Number.NEGATIVE_INFINITY);
  const xFrom = chart.xFrom ?? 0;
  const xTicks = niceTicks(xFrom, xMax > xFrom ? xMax : xFrom + 1, width < 600 ? 4 : 8);
  const [low, high] = yRange(chart, xMax);
  const yTicks = niceTicks(low, high, 7);
  const step = yTicks.length > 1 ? yTicks[1] - yTicks[0] : 1;
  const yDigits = Math.max(0, Math.min(4, Math.ceil(-Math.log10(step))));
  const xEnd = Math.max(xMax, xTicks.at(-1) ?? xMax) || 1;
  const px = (x: number): number => round(frame.left + ((x - xFrom) / (xEnd - xFrom)) * (frame.right - frame.left));
  const py = (y: number): number => round(frame.bottom - ((y - low) / (high - low)) * (frame.bottom - frame.top));
  const clip = `clip-${className}`;
  const out: string[] = [];
  for (const y of yTicks) {
    out.push(`<line x1="${frame.left}" x2="${frame.right}" y1="${py(y)}" y2="${py(y)}" stroke="var(--line)"/>`);
    out.push(`<text x="${frame.left - 6}" y="${py(y) + 4}" text-anchor="end">${y.toFixed(yDigits)}</text>`);
  }
  for (const x of xTicks) {
    const anchor = px(x) > frame.right - 20 ? 'end' : 'middle';
    out.push(`<line x1="${px(x)}" x2="${px(x)}" y1="${frame.bottom}" y2="${frame.bottom + 4}" stroke="var(--muted)"/>`);
    out.push(
      `<text x="${px(x)}" y="${frame.bottom + 18}" text-anchor="${anchor}">${escapeHtml(chart.formatX(x))}</text>`,
    );
  }
  const middle = (frame.left + frame.right) / 2;
  out.push(`<text x="${middle}" y="${height - 6}" text-anchor="middle">${escapeHtml(chart.xLabel)}</text>`);
  out.push(`<text x="4" y="12">${escapeHtml(chart.yLabel)}</text>`);
  for (const line of referenceLines(chart, frame, py)) out.push(line);
  for (const { points, color, strokeWidth } of chart.series) {
    const path = points.map(({ x, y }) => `${px(x)},${py(y)}`).join(' ');
    out.push(
      points.length === 1
        ? `<circle cx="${px(points[0].x)}" cy="${py(points[0].y)}" r="3" fill="var(${color})"/>`
        : `<polyline clip-path="url(#${clip})" points="${path}" fill="none" stroke="var(${color})" stroke-width="${strokeWidth}" stroke-linejoin="round"/>`,
    );
  }
  if (chart.mark && isFinitePoint(chart.mark)) {
    const { x, y, label } = chart.mark;
    const anchor = px(x) > frame.right - 60 ? 'end' : px(x) < frame.left + 60 ? 'start' : 'middle';
    out.push(`<circle cx="${px(x)}" cy="${py(y)}" r="5" fill="var(--held)" stroke="var(--paper)" stroke-width="2"/>`);
    out.push(`<text x="${px(x)}" y="${py(y) + 22}" text-anchor="${anchor}" class="halo">${escapeHtml(label)}</text>`);
  }
  const label = escapeHtml(`${chart.yLabel} over ${chart.xLabel}`);
  return `<svg class="${className}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<clipPath id="${clip}"><rect x="${frame.left}" y="${frame.top}" width="${frame.right - frame.left}" height="${frame.bottom - frame.top}"/></clipPath>
${out.join('\n')}
</svg>`;
}

/** Dashed lines; a label moves down while it would touch the one above it. */
function referenceLines(chart: LineChart, frame: { left: number; right: number }, py: (y: number) => number): string[] {
  const out: string[] = [];
  let lastLabel = Number.NEGATIVE_INFINITY;
  for (const { name, y } of [...chart.references].sort((a, b) => b.y - a.y)) {
    if (!Number.isFinite(y)) continue;
    lastLabel = Math.max(py(y) - 5, lastLabel + 14);
    const dash = 'stroke="var(--muted)" stroke-dasharray="5 4"';
    out.push(`<line x1="${frame.left}" x2="${frame.right}" y1="${py(y)}" y2="${py(y)}" ${dash}/>`);
    out.push(
      `<text x="${frame.right}" y="${lastLabel}" text-anchor="end" class="halo">${escapeHtml(name)} ${y.toFixed(2)}</text>`,
    );
  }
  return out;
}

/**
 * Lowest and highest value to show. An untrained model starts at 8 bits per byte and falls in no time: the first twentieth of the
 * run may leave the frame at the top, so that the rest can be told apart.
 */
export function yRange(chart: Pick<LineChart, 'series' | 'references'>, xMax: number): [number, number] {
  const points = chart.series.flatMap((one) => one.points);
  const settled = points.filter(({ x }) => x >= xMax / 20);
  const references = chart.references.filter(({ y }) => Number.isFinite(y));
  const low = [...points, ...references].reduce((a, { y }) => Math.min(a, y), Number.POSITIVE_INFINITY);
  const high = [...(settled.length > 0 ? settled : points), ...references].reduce(
    (a, { y }) => Math.max(a, y),
    Number.NEGATIVE_INFINITY,
  );
  const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

/** Round numbers (1, 2 or 5 times a power of ten apart) inside [low, high], about `count` of them. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((multiple) => multiple * power >= raw * (1 - 1e-9)) ?? 10);
  const ticks: number[] = [];
  const last = Math.floor(high / step + 1e-9);
  // Multiples of the step, not repeated sums: 0.1 + 0.2 is no label.
  for (let i = Math.ceil(low / step - 1e-9); i <= last; i++) ticks.push(Number((i * step).toPrecision(12)) || 0);
  return ticks;
}

/** At most `count` points: consecutive ones replaced by their mean, the first and last kept. */
export function thinned(points: readonly Point[], count: number): Point[] {
  if (points.length <= count) return [...points];
  const groups = count - 2;
  const inner = points.slice(1, -1);
  const means = Array.from({ length: groups }, (_, group) => {
    const part = inner.slice(
      Math.floor((group * inner.length) / groups),
      Math.floor(((group + 1) * inner.length) / groups),
    );
    const mean = (pick: (p: Point) => number): number => part.reduce((sum, p) => sum + pick(p), 0) / part.length;
    return { x: mean((p) => p.x), y: mean((p) => p.y) };
  });
  return [points[0], ...means, points[points.length - 1]];
}

const isFinitePoint = ({ x, y }: Point): boolean => Number.isFinite(x) && Number.isFinite(y);
const round = (value: number): number => Math.round(value * 10) / 10;
