/** @file The patch view, line by line as SVG: patches as bands, cuts, the entropy curve, the threshold, and the bytes underneath. */

import { byteInWords, CELL, LABEL, type Label, labelsOf, letters, type Picture } from './picture.ts';

const PLOT = 56;
const ROW = PLOT + LABEL + 10;

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
function axisTop({ entropies, threshold }: Pick<Patched, 'entropies' | 'threshold'>): number {
  let highest = threshold ?? 0;
  for (const nats of entropies ?? []) if (nats > highest) highest = nats;
  return Math.max(1, Math.ceil(highest));
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** Bytes from..to of the text, `top` nats high. Coordinates are pixels. */
function stripRow(patched: Patched, labels: readonly (Label | null)[], from: number, to: number, top: number) {
  const { entropies, threshold, patchOf, patchLengths } = patched;
  const plot = entropies ? PLOT : 0;
  const y = (nats: number): number => round((1 - Math.min(1, Math.max(0, nats / top))) * (PLOT - 4) + 2);
  const x = (i: number): number => (i - from) * CELL;
  const bands: string[] = [];
  const cuts: string[] = [];
  for (let i = from; i < to; ) {
    let end = i + 1;
    while (end < to && patchOf[end] === patchOf[i]) end++;
    if (patchOf[i] % 2 === 1) bands.push(`M${x(i)} 0h${x(end) - x(i)}v${plot + LABEL}h${x(i) - x(end)}z`);
    const starts = i === 0 || patchOf[i - 1] !== patchOf[i];
    if (starts && patchLengths.length > 0) cuts.push(`M${x(i)} 0v${plot + LABEL}`);
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
  out.push(letters(labels, from, to, plot + 13));
  return out.join('');
}

/** The picture of a text with its entropies and patches. */
export function patchesPicture(patched: Patched, labels = labelsOf(patched.bytes)): Picture {
  const { bytes, entropies, patchOf, patchLengths } = patched;
  const top = axisTop(patched);
  return {
    length: bytes.length,
    rowHeight: entropies ? ROW : ROW - PLOT,
    row: (from, to) => stripRow(patched, labels, from, to, top),
    facts(i) {
      const nats = entropies
        ? `, entropy ${entropies[i].toFixed(3)} nats (${(entropies[i] / Math.LN2).toFixed(2)} bits)`
        : '';
      const length = patchLengths[patchOf[i]];
      const patch =
        patchLengths.length > 0
          ? `; patch ${patchOf[i] + 1} of ${patchLengths.length}, ${length} ${length === 1 ? 'byte' : 'bytes'} long`
          : '';
      return `${byteInWords(bytes, labels, i)}${nats}${patch}.`;
    },
  };
}
