/** @file Patches on the terminal. */
import { printable } from './byte-labels.ts';
import { sgr } from './color.ts';
import { UserError } from './errors.ts';
import { counted } from './human-units.ts';

/** Black on a light blue, black on a light yellow: told apart on dark and light terminals and by the colour-blind. */
const COLORS = ['30;48;5;153', '30;48;5;222'];

/** Written between patches where there is no colour. Not `|`, which text and code contain. */
export const PATCH_SEPARATOR = '│';

/**
 * The bytes with their patches shown: backgrounds in two alternating colours, or {@link PATCH_SEPARATOR} between patches without
 * colour. A newline is shown as `⏎` and then breaks the line; what is no printable UTF-8 within its own patch is escaped (`\x80`), so
 * a character that a patch boundary cuts through is seen to be cut.
 * @param patchLengths bytes of each patch, in order; they must add up to bytes.length
 */
export function showPatches(bytes: Uint8Array, patchLengths: readonly number[], options: { color: boolean }): string {
  checkLengths(bytes, patchLengths);
  let at = 0;
  let shown = 0;
  let out = '';
  for (const length of patchLengths) {
    if (length === 0) continue;
    const text = printable(bytes.subarray(at, at + length), '⏎\n');
    if (options.color) {
      // No background may be open across a line end: terminals paint the rest of the line with it.
      const code = COLORS[shown % COLORS.length];
      out += text
        .split('\n')
        .map((line) => (line === '' ? '' : sgr(code, line)))
        .join('\n');
    } else out += (shown === 0 ? '' : PATCH_SEPARATOR) + text;
    at += length;
    shown++;
  }
  return out;
}

/** `53 bytes  12 patches  4.42 bytes per patch` */
export function patchSummary(patchLengths: readonly number[]): string {
  const bytes = patchLengths.reduce((sum, length) => sum + length, 0);
  const patches = patchLengths.filter((length) => length > 0).length;
  const mean = patches === 0 ? '0' : (bytes / patches).toFixed(2);
  return `${counted(bytes, 'byte')}  ${counted(patches, 'patch', 'patches')}  ${mean} bytes per patch`;
}

/** @throws UserError unless the lengths are whole, not negative, and add up to the number of bytes */
export function checkLengths(bytes: Uint8Array, patchLengths: readonly number[]): void {
  const bad = patchLengths.find((length) => !Number.isInteger(length) || length < 0);
  if (bad !== undefined) throw new UserError(`a patch length is ${bad}; it must be a whole number of bytes`);
  const sum = patchLengths.reduce((total, length) => total + length, 0);
  if (sum !== bytes.length) {
    throw new UserError(
      `patch lengths add up to ${sum}, the text has ${bytes.length} bytes; leave out the specials' lengths`,
    );
  }
}
