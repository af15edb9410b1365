/** @file Entropies of bytes as a curve over their text, in HTML. */
import { characters } from '../terminal/byte-labels.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { checkLengths } from '../terminal/patch-view.ts';
import { escapeHtml } from './html-page.ts';

/** Bytes with the patches they were cut into and, for entropy patching, what the cuts were made by. Plain JSON. */
export interface PatchedBytes {
  /** 0..255, specials left out. */
  bytes: readonly number[];
  /** Bytes of each patch, in order; they add up to bytes.length. */
  patchLengths: readonly number[];
  /**
   * Nats. entropies[i] is the entropy of the prediction OF byte i, made from the bytes before it: a value above the threshold makes
   * byte i the first of a patch. null where there is none. Left out for modes that need no entropies.
   */
  entropies?: readonly (number | null)[];
  /** Nats; left out or null for modes that have none. */
  threshold?: number | null;
  /** -log2 p of each byte, bits: the cell of a byte is the redder the more it surprises. Left out where no model predicted them. */
  bits?: readonly number[];
}

/** Bits of the deepest red: 1 in 65,536. */
const MOST_RED_BITS = 16;

/** Longer texts are cut: each byte is an element of the page. */
export const MAX_STRIP_BYTES = 20_000;

const CELL = 14;
const PLOT = 72;
const LABEL = 30;
const GAP = 12;
const AXIS = 30;

export const ENTROPY_STRIP_CSS = `
.strip { display: flex; flex-wrap: wrap; align-content: flex-start; row-gap: ${GAP}px; padding-left: ${AXIS}px;
  font: 12px/1.2 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
.strip b { position: relative; flex: 0 0 ${CELL}px; height: ${PLOT + LABEL}px; font-weight: 400; text-align: center;
  border-bottom: 1px solid var(--line); }
.strip b.odd { background: var(--patch); }
.strip b.start { box-shadow: inset 1px 0 var(--muted); }
.strip svg { display: block; width: ${CELL}px; height: ${PLOT}px; overflow: visible; pointer-events: none; }
.strip path { fill: none; stroke: var(--curve); stroke-width: 1.5; }
.strip.cut b::before { content: ''; position: absolute; left: 0; right: 0; top: var(--threshold-top);
  border-top: 1.5px solid var(--threshold); }
.strip u { position: absolute; left: 0; right: 0; top: ${PLOT}px; height: ${LABEL}px; padding-top: 4px; text-decoration: none;
  white-space: pre; }
.strip u.escape { color: var(--muted); font-size: 10px; }
.strip u.long { writing-mode: vertical-rl; font-size: 9px; line-height: ${CELL}px; padding-top: 3px; text-align: left; }
.strip b.heat::after { content: ''; position: absolute; inset: auto 0 0 0; height: ${LABEL}px; background: var(--held);
  opacity: var(--heat); pointer-events: none; }
.strip b:hover { outline: 2px solid var(--curve); }
.strip.flat { padding-left: 0; }
.strip.flat b { height: ${LABEL}px; }
.strip.flat u { top: 0; }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 8px 0 12px; font-size: 0.9rem; }
.key i { display: inline-block; width: 22px; margin-right: 6px; vertical-align: middle; border-top: 2px solid; }
.key i.bar { width: 0; height: 14px; border-top: 0; border-left: 2px solid; margin: 0 8px 0 6px; }
`;

/**
 * The entropy of each byte as a curve, the threshold as a line across, a vertical line where a patch starts, and the bytes as labels
 * underneath: the picture of figure 4 of the BLT paper. The row breaks wherever the window ends, without any script, because
 * every byte draws its own piece of the curve. Pointing at a byte shows its numbers.
 * @throws UserError if lengths and bytes do not fit together
 */
export function entropyStrip(data: PatchedBytes): string {
  const bytes = Uint8Array.from(data.bytes);
  checkLengths(bytes, data.patchLengths);
  const lengths = data.patchLengths.filter((length) => length > 0);
  const { entropies } = data;
  if (entropies && entropies.length !== bytes.length) {
    throw new UserError(`there are ${entropies.length} entropies for ${bytes.length} bytes; give one for each byte`);
  }
  if (data.bits && data.bits.length !== bytes.length) {
    throw new UserError(
      `there are bits of ${data.bits.length} bytes for ${bytes.length} bytes; give them for each byte`,
    );
  }
  const count = Math.min(bytes.length, MAX_STRIP_BYTES);
  const threshold = entropies ? (data.threshold ?? null) : null;
  const top = axisTop(entropies ?? [], threshold);
  const y = (nats: number): number => Math.round((1 - nats / top) * (PLOT - 4) * 10) / 10 + 2;
  const labels = labelCells(bytes.subarray(0, count));
  const { patchOf, isStart } = patchIndex(lengths, count);
  const cells: string[] = [];
  for (let i = 0; i < count; i++) {
    const patch = patchOf[i];
    const heat = data.bits?.[i];
    const classes = [patch % 2 === 1 ? 'odd' : '', isStart[i] ? 'start' : '', heat === undefined ? '' : 'heat']
      .filter(Boolean)
      .join(' ');
    const hex = `0x${bytes[i].toString(16).padStart(2, '0')}`;
    const nats = entropies?.[i];
    const value = nats === null || nats === undefined || !Number.isFinite(nats) ? '' : `, ${nats.toFixed(3)} nats`;
    const size = lengths[patch];
    const title = `byte ${i}: ${labels[i].name} ${hex}${bitsText(heat)}${value}, patch ${patch} of ${counted(size, 'byte')}`;
    const curve = entropies ? `<svg viewBox="0 0 ${CELL} ${PLOT}"><path d="${piece(entropies, i, y)}"/></svg>` : '';
    cells.push(
      `<b${classes && ` class="${classes}"`}${heatStyle(heat)} title="${escapeHtml(title)}">${curve}${labels[i].html}</b>`,
    );
  }
  const classes = ['strip', threshold === null ? '' : 'cut', entropies ? '' : 'flat'].filter(Boolean).join(' ');
  const axis = entropies
    ? `background:url(&quot;${axisImage(top, y)}&quot;) 0 0/${AXIS}px ${PLOT + LABEL + GAP}px repeat-y;`
    : '';
  const line = threshold === null ? '' : `--threshold-top:${y(threshold)}px;`;
  const cutNote =
    count < bytes.length ? `<p class="muted">The first ${count} of ${bytes.length} bytes are shown.</p>` : '';
  return `${key(entropies !== undefined, threshold, data.bits !== undefined)}
<div class="${classes}" style="${axis}${line}">${cells.join('')}</div>
${cutNote}`;
}

const bitsText = (bits: number | undefined): string => (bits === undefined ? '' : `, ${bits.toFixed(2)} bits`);
const heatStyle = (bits: number | undefined): string =>
  bits === undefined ? '' : ` style="--heat:${Math.min(1, bits / MOST_RED_BITS).toFixed(2)}"`;

function key(hasCurve: boolean, threshold: number | null, hasBits: boolean): string {
  const items = ['<span><i class="bar" style="border-color:var(--muted)"></i>a patch starts</span>'];
  if (hasCurve) {
    items.unshift('<span><i style="border-color:var(--curve)"></i>entropy of the prediction of each byte, nats</span>');
  }
  if (threshold !== null) {
    items.push(
      `<span><i style="border-color:var(--threshold)"></i>threshold ${escapeHtml(threshold.toFixed(3))} nats</span>`,
    );
  }
  if (hasBits) {
    items.push(
      `<span><i style="border-color:var(--held)"></i>the redder, the more surprising (0 to ${MOST_RED_BITS} bits)</span>`,
    );
  }
  return `<div class="key">${items.join('')}</div>`;
}

/** Nats at the top of the axis: the next whole number above everything drawn. */
function axisTop(entropies: readonly (number | null)[], threshold: number | null): number {
  const highest = [...entropies, threshold].reduce<number>((max, value) => {
    return value !== null && Number.isFinite(value) ? Math.max(max, value) : max;
  }, 0);
  return Math.max(1, Math.ceil(highest));
}

/** The part of the curve over byte i: from half way to its left neighbour, through its own value, to half way to the right one. */
function piece(entropies: readonly (number | null)[], i: number, y: (nats: number) => number): string {
  const at = (index: number): number | undefined => {
    const value = entropies[index];
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  };
  const here = at(i);
  if (here === undefined) return '';
  const left = at(i - 1);
  const right = at(i + 1);
  const start = left === undefined ? `M${CELL / 2},${y(here)}` : `M0,${y((left + here) / 2)}L${CELL / 2},${y(here)}`;
  // A value with no neighbours becomes a dash rather than nothing.
  if (left === undefined && right === undefined) return `M${CELL / 4},${y(here)}h${CELL / 2}`;
  return right === undefined ? start : `${start}L${CELL},${y((here + right) / 2)}`;
}

/** Ticks and labels of one row as an image: repeated down the side, however many rows there are. Mid grey suits light and dark. */
function axisImage(top: number, y: (nats: number) => number): string {
  const height = PLOT + LABEL + GAP;
  const step = top > 6 ? 2 : 1;
  const marks: string[] = [];
  for (let nats = 0; nats <= top; nats += step) {
    const baseline = Math.max(9, y(nats) + 3.5);
    marks.push(`<path d="M${AXIS - 5} ${y(nats)}h4" stroke="#7f868f"/>`);
    marks.push(`<text x="${AXIS - 8}" y="${baseline}" text-anchor="end">${nats}</text>`);
  }
  const rule = `<path d="M${AXIS - 1} ${y(top)}V${y(0)}" stroke="#7f868f"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${AXIS}" height="${height}" font-family="sans-serif" font-size="10" fill="#7f868f">${rule}${marks.join('')}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg).replaceAll("'", '%27')}`;
}

/** Label and spoken name of every byte: a character stands on its lead byte, its other bytes have none. */
function labelCells(bytes: Uint8Array): { html: string; name: string }[] {
  const cells = Array.from(bytes, () => ({ html: '', name: 'continuation' }));
  for (const { at, text, isEscape } of characters(bytes)) {
    const shown = text === ' ' ? '␣' : /^\p{M}/u.test(text) ? `◌${text}` : text;
    const className = isEscape ? (text.length > 2 ? ' class="escape long"' : ' class="escape"') : '';
    cells[at] = { html: `<u${className}>${escapeHtml(shown)}</u>`, name: shown };
  }
  return cells;
}

function patchIndex(lengths: readonly number[], count: number): { patchOf: number[]; isStart: boolean[] } {
  const patchOf: number[] = [];
  const isStart: boolean[] = [];
  lengths.forEach((length, patch) => {
    for (let i = 0; i < length && patchOf.length < count; i++) {
      patchOf.push(patch);
      isStart.push(i === 0);
    }
  });
  return { patchOf, isStart };
}
