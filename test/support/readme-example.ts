/** @file The TypeScript example of a README, run as a reader would run it: in the root, on the built packages. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Output of the first TypeScript block of a page. @param page its path from the root */
export async function runExample(page: string): Promise<{ stdout: string; stderr: string }> {
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, page), 'utf8'))?.[1] ?? '';
  const { code } = await transform(example, { loader: 'ts', format: 'esm' });
  // What it imports is looked for in the node_modules of the root.
  const parent = join(root, 'node_modules', '.readme');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'example-'));
  try {
    const file = join(folder, 'example.mjs');
    writeFileSync(file, code);
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    return { stdout, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
