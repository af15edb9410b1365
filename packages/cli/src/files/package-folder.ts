/** @file The folder of this package, where its built page, its book and its experiments lie. */
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder above `dist`, where the bundle runs, or above `src`, where the sources do. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!['src', 'dist'].includes(basename(folder)) && dirname(folder) !== folder) folder = dirname(folder);
  return dirname(folder);
}
