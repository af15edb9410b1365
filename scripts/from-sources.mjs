// A TypeScript file of this repository as one file that Node runs: the packages come from their sources, so they need no build. Only
// the WebAssembly kernels do.
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

/** Bundles `entry` (a path from the root) to node_modules/.`folder`/NAME.mjs. @returns its path */
export async function fromSources(entry, folder) {
  const name = entry.split('/').at(-1).replace(/\.ts$/, '');
  const outfile = join(root, 'node_modules', `.${folder}`, `${name}.mjs`);
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['esbuild', 'assemblyscript/asc'],
    conditions: ['@blt-ts/source'],
    logLevel: 'warning',
  });
  return outfile;
}
