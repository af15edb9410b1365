/** @file A text with one or two lines of squares over its letters: the stronger its colour, the more bits the byte costs. */
import { byteInWords, CELL, LABEL, labelsOf, letters, type Picture } from './picture.ts';

/** Bits at which a square is as strong as it gets. */
const MOST_BITS = 8;
const SQUARE = 16;

/** Strengths of the colour that are told apart. */
const SHADES = 16;

/**
 * A line of squares. Those of one shade are one path, because a browser draws sixteen paths sooner than hundreds of squares.
 * @param strengths of the colour, 0 (not drawn) to 1
 * @param size `step` from one square to the next, `y` of its upper edge
 */
export function squares(
  strengths: readonly number[],
  { step, width, height, y }: { step: number; width: number; height: number; y: number },
): string {
  const paths = new Map<number, string>();
  strengths.forEach((strength, i) => {
    const shade = Math.round(SHADES * Math.min(1, Math.max(0, strength)));
    if (shade > 0) paths.set(shade, `${paths.get(shade) ?? ''}M${i * step} ${y}h${width}v${height}h${-width}z`);
  });
  return [...paths].map(([shade, d]) => `<path class="heat" fill-opacity="${shade / SHADES}" d="${d}"/>`).join('');
}

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
        const strengths = Array.from(bits.subarray(from, to), (b) => b / MOST_BITS);
        out.push(squares(strengths, { step: CELL, width: CELL - 1, height: SQUARE, y: h * (SQUARE + 2) }));
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
