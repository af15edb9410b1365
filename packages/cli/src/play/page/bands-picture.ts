/** @file The picture of chapter 3: a text cut into patches, and under each line four bands with what one byte sees. */

import { counted } from '../../terminal/human-units.ts';
import type { Reading } from '../messages.ts';
import { type ByteView, bytesOfPatches, type Span, viewOfByte } from './byte-view.ts';
import { byteInWords, CELL, LABEL, labelsOf, letters, type Picture } from './picture.ts';

const BAND = 6;
const GAP = 5;
const TOP = LABEL + 6;
const ROW = TOP + 4 * (BAND + GAP) + 14;

/** The bands, from the top, as their key names them. */
export const BANDS: readonly string[] = [
  'bytes that it sees (local encoder, local decoder)',
  'bytes that its patch is pooled from (encoder)',
  'patches that its patch sees (global)',
  'patch that the decoder reads here',
];

/** Stretches of bytes of each band; those of the third are patches. */
function stretches(reading: Reading, view: ByteView): Span[][] {
  const patches: Span[] = [];
  for (let j = view.global.from; j < view.global.to; j++) patches.push(bytesOfPatches(reading, j, j + 1));
  return [[view.local], [view.pooled], patches, [view.decoder.bytes]];
}

/** Backgrounds of every other patch, and a line where each starts. */
export function patchBands({ layout }: Pick<Reading, 'layout'>, from: number, to: number): string {
  const [bands, cuts]: [string[], string[]] = [[], []];
  for (let i = from; i < to; ) {
    const patch = layout.patchOfByte[i + 1];
    const start = i;
    while (i < to && layout.patchOfByte[i + 1] === patch) i++;
    const [x, width] = [(start - from) * CELL, (i - start) * CELL];
    if (patch % 2 === 0) bands.push(`M${x} 0h${width}v${LABEL}h${-width}z`);
    if (layout.patchStarts[patch] === start + 1) cuts.push(`M${x} 0v${LABEL}`);
  }
  return `<path class="odd" d="${bands.join('')}"/><path class="cuts" d="${cuts.join('')}"/>`;
}

/** The picture of a passage; the bands are those of the chosen byte. */
export function bandsPicture(reading: Reading): Picture {
  const labels = labelsOf(reading.bytes);
  let last: { readonly byte: number; readonly bands: Span[][] } | null = null;
  const bandsOf = (byte: number): Span[][] => {
    if (last?.byte !== byte) last = { byte, bands: stretches(reading, viewOfByte(reading, byte)) };
    return last.bands;
  };
  return {
    length: reading.bytes.length,
    rowHeight: ROW,
    row(from, to, chosen) {
      const out = [patchBands(reading, from, to), letters(labels, from, to, 13)];
      BANDS.forEach((_, b) => {
        const y = TOP + b * (BAND + GAP);
        out.push(
          `<path class="base" d="M0 ${y + BAND / 2}h${(to - from) * CELL}"/><text class="axis" x="-6" y="${y + BAND}">${b + 1}</text>`,
        );
        if (chosen === null) return;
        for (const stretch of bandsOf(chosen)[b]) {
          const [start, end] = [Math.max(from, stretch.from), Math.min(to, stretch.to)];
          if (start >= end) continue;
          const width = (end - start) * CELL - 2;
          out.push(
            `<rect class="band${b + 1}" x="${(start - from) * CELL + 1}" y="${y}" width="${width}" height="${BAND}" rx="2"/>`,
          );
        }
      });
      return out.join('');
    },
    facts: (i) => `${byteInWords(reading.bytes, labels, i)}. ${seen(reading, viewOfByte(reading, i))}`,
  };
}

/** The intervals of a byte in one sentence, for those who do not see the bands. */
function seen({ layout }: Reading, { patch, patchBytes, local, global, decoder }: ByteView): string {
  const bytes = local.to - local.from + (local.bos ? 1 : 0);
  const readPatch = decoder.to > decoder.from ? `patch ${decoder.to - 1}` : 'no patch';
  return (
    `It sees ${counted(bytes, 'byte')}. Its patch ${patch} of ${layout.patches - 1} has ${counted(patchBytes.to - patchBytes.from, 'byte')} and sees ` +
    `${counted(global.to - global.from, 'patch', 'patches')}. The decoder reads ${readPatch} here.`
  );
}
