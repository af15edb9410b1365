/** @file The measures and the letters that all pictures of a text share. */
import { escapeHtml } from '../../report/html-page.ts';
import { byteEscape, characters } from '../../terminal/byte-labels.ts';

/** Pixels of a byte. */
export const CELL = 14;
/** Pixels of the line of letters. */
export const LABEL = 18;
/** Room for the numbers of the axis. */
export const AXIS = 22;

/** One picture of a text. */
export interface Picture {
  /** Bytes. */
  readonly length: number;
  /** Pixels of a line. */
  readonly rowHeight: number;
  /** SVG of the bytes from .. to-1, CELL pixels each. @param chosen the byte that is looked at, if any */
  row(from: number, to: number, chosen: number | null): string;
  /** A sentence about one byte. */
  facts(byte: number): string;
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

/** The letters of a line, their baseline `y` pixels from its top. All single characters are one element, because hundreds take long to draw. */
export function letters(labels: readonly (Label | null)[], from: number, to: number, y: number): string {
  const single = { letters: { text: '', x: [] as number[] }, escapes: { text: '', x: [] as number[] } };
  let out = '';
  for (let i = from; i < to; i++) {
    const label = labels[i];
    if (!label) continue;
    const x = (i - from) * CELL + CELL / 2;
    if (standsAlone(label.text)) {
      const line = label.isEscape ? single.escapes : single.letters;
      line.text += label.text;
      line.x.push(x);
    } else out += textAt(label.text, label.isEscape, x, y);
  }
  const { letters, escapes } = single;
  return out + textAt(letters.text, false, letters.x.join(' '), y) + textAt(escapes.text, true, escapes.x.join(' '), y);
}

/** Whether a label is one character that no neighbour changes: scripts whose letters join, and pairs of code units, do not count. */
const standsAlone = (text: string): boolean => text.length === 1 && (text < '\u0590' || text === '␣');

function textAt(text: string, isEscape: boolean, x: number | string, y: number): string {
  return text && `<text${isEscape ? ' class="escape"' : ''} x="${x}" y="${y}">${escapeHtml(text)}</text>`;
}

/** A byte in words: `Byte 9: "é" 0xa9, byte 2 of it`. */
export function byteInWords(bytes: Uint8Array, labels: readonly (Label | null)[], i: number): string {
  let at = i;
  while (at > 0 && !labels[at]) at--;
  const label = labels[at];
  const text = label && !label.isEscape ? `"${label.text}"` : bytes[i] === 32 ? 'space' : byteEscape(bytes[i]);
  const part = at === i ? '' : `, byte ${i - at + 1} of it`;
  return `Byte ${i}: ${text} 0x${bytes[i].toString(16).padStart(2, '0')}${part}`;
}
