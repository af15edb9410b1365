/** @file One line of the patch view as SVG: patches as bands, cuts, the entropy curve, the threshold, and the bytes underneath. */

import { escapeHtml } from '../../report/html-page.ts';
import { characters } from '../../terminal/byte-labels.ts';

export const CELL = 14;
const PLOT = 56;
const LABEL = 18;
export const ROW = PLOT + LABEL + 10;
/** Room for the numbers of the axis. */
export const AXIS = 22;

export interface Patched {
  readonly bytes: Uint8Array;
  /** Nats, of the prediction of each byte; null where nothing predicts. */
  readonly entropies: Float32Array | null;
  /** Nats; a line is drawn where there is one. */
  readonly threshold: number | null;
  /** Number of the patch each byte belongs to. */
  readonly patchOf: Int32Array;
  readonly patchLengths: Int32Array;
}

export interface Label {
  readonly text: string;
  readonly isEscape: boolean;
}

/** The label under each byte: a character under its first byte, nothing under its others. */
export function labelsOf(bytes: Uint8Array): (Label | null)[] {
  const labels: (Label | null)[] = Array.from(bytes, () => null);
  for (const { at, text, isEscape } of characters(bytes)) {
    const shown = text === ' ' ? '␣' : /^\p{M}/u.test(text) ? `◌${text}` : text;
    labels[at] = { text: isEscape ? shown.replace('\\x', '') : shown, isEscape: isEscape || text === ' ' };
  }
  return labels;
}

/** Patch numbers from lengths. */
export function patchNumbers(lengths: Int32Array, bytes: number): Int32Array {
  const numbers = new Int32Array(bytes);
  let at = 0;
  lengths.forEach((length, patch) => {
    numbers.fill(patch, at, at + length);
    at += length;
  });
  return numbers;
}

/** Nats at the top of the axis: the next whole number above everything drawn. */
export function axisTop({ entropies, threshold }: Pick<Patched, 'entropies' | 'threshold'>): number {
  let highest = threshold ?? 0;
  for (const nats of entropies ?? []) if (nats > highest) highest = nats;
  return Math.max(1, Math.ceil(highest));
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** Bytes from..to of the text, `top` nats high. Coordinates are pixels. */
export function stripRow(patched: Patched, labels: readonly (Label | null)[], from: number, to: number, top: number) {
  const { entropies, threshold, patchOf } = patched;
  const plot = entropies ? PLOT : 0;
  const y = (nats: number): number => round((1 - Math.min(1, Math.max(0, nats / top))) * (PLOT - 4) + 2);
  const x = (i: number): number => (i - from) * CELL;
  const bands: string[] = [];
  const cuts: string[] = [];
  for (let i = from; i < to; ) {
    let end = i + 1;
    while (end < to && patchOf[end] === patchOf[i]) end++;
    if (patchOf[i] % 2 === 1) bands.push(`M${x(i)} 0h${x(end) - x(i)}v${plot + LABEL}h${x(i) - x(end)}z`);
    if (i === 0 || patchOf[i - 1] !== patchOf[i]) cuts.push(`M${x(i)} 0v${plot + LABEL}`);
    i = end;
  }
  const out = [`<path class="odd" d="${bands.join('')}"/>`, `<path class="cuts" d="${cuts.join('')}"/>`];
  const width = x(to);
  if (entropies) {
    out.push(`<path class="base" d="M0 ${PLOT}h${width}"/>`);
    out.push(`<text class="axis" x="-5" y="${y(top) + 7}">${top}</text><text class="axis" x="-5" y="${PLOT}">0</text>`);
    const points: string[] = [];
    // The line goes on half way to the neighbours on the lines above and below, so that it does not seem to stop.
    if (from > 0) points.push(`0,${y((entropies[from - 1] + entropies[from]) / 2)}`);
    for (let i = from; i < to; i++) points.push(`${x(i) + CELL / 2},${y(entropies[i])}`);
    if (to < entropies.length) points.push(`${width},${y((entropies[to - 1] + entropies[to]) / 2)}`);
    out.push(`<polyline class="curve" points="${points.join(' ')}"/>`);
    if (threshold !== null && threshold >= 0) {
      out.push(`<path class="threshold" d="M0 ${y(threshold)}h${width}"/>`);
    }
  }
  for (let i = from; i < to; i++) {
    const label = labels[i];
    if (!label) continue;
    const className = label.isEscape ? ' class="escape"' : '';
    out.push(`<text${className} x="${x(i) + CELL / 2}" y="${plot + 13}">${escapeHtml(label.text)}</text>`);
  }
  return out.join('');
}

/** Height of a line of a text with or without entropies. */
export const rowHeight = ({ entropies }: Pick<Patched, 'entropies'>): number => (entropies ? ROW : ROW - PLOT);
