/** @file A text with one or two lines of squares over its letters: the stronger its colour, the more bits the byte costs. */
import { byteInWords, CELL, LABEL, labelsOf, letters, type Picture } from './picture.ts';

/** Bits at which a square is as strong as it gets. */
const MOST_BITS = 8;
const SQUARE = 16;

/** One line of squares. */
export interface Heat {
  readonly name: string;
  /** [bytes] */
  readonly bits: Float32Array;
}

/** @param patches draws the patches of a line behind its letters */
export function heatPicture(
  bytes: Uint8Array,
  heats: readonly Heat[],
  patches: (from: number, to: number) => string = () => '',
): Picture {
  const labels = labelsOf(bytes);
  const height = heats.length * (SQUARE + 2);
  return {
    length: bytes.length,
    rowHeight: height + LABEL + 16,
    row(from, to) {
      const out: string[] = [];
      heats.forEach(({ bits }, h) => {
        if (heats.length > 1) out.push(`<text class="axis" x="-6" y="${h * (SQUARE + 2) + 12}">${h + 1}</text>`);
        for (let i = from; i < to; i++) {
          const opacity = Math.min(1, Math.max(0, bits[i]) / MOST_BITS).toFixed(2);
          out.push(
            `<rect class="heat" x="${(i - from) * CELL}" y="${h * (SQUARE + 2)}" width="${CELL - 1}" height="${SQUARE}" fill-opacity="${opacity}"/>`,
          );
        }
      });
      out.push(`<g transform="translate(0 ${height + 2})">${patches(from, to)}${letters(labels, from, to, 13)}</g>`);
      return out.join('');
    },
    facts(i) {
      const costs = heats.map(({ name, bits }) => `${bits[i].toFixed(2)} bits${name && ` ${name}`}`).join(', ');
      return `${byteInWords(bytes, labels, i)}, ${costs}.`;
    },
  };
}
