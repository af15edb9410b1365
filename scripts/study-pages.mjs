// Fills the figures that the pages of docs/study quote from docs/study/results.json: `node scripts/study-pages.mjs`. test/docs.test.ts holds
// the pages to it. `blt study --results docs/study/results.json` draws the figures of the same file.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

/** Pages with marks. */
export const PAGES = ['docs/study/README.md', 'docs/study/questions.md'];

/** Each page as it should be, by path. */
export async function currentPages() {
  const folder = mkdtempSync(join(tmpdir(), 'blt-study-'));
  try {
    const outfile = join(folder, 'quotes.mjs');
    const entryPoints = ['packages/cli/src/study/quotes.ts'];
    await build({
      absWorkingDir: root,
      entryPoints,
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      logLevel: 'error',
    });
    const { withFigures } = await import(pathToFileURL(outfile).href);
    const results = JSON.parse(readFileSync(join(root, 'docs/study/results.json'), 'utf8'));
    return Object.fromEntries(
      PAGES.map((path) => [path, withFigures(readFileSync(join(root, path), 'utf8'), results)]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text] of Object.entries(await currentPages())) writeFileSync(join(root, path), text);
}
