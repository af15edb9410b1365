// Fills the figures that the pages of docs/study quote from docs/study/results.json, and draws docs/figures/ladder.svg from it:
// `node scripts/study-pages.mjs`. test/docs.test.ts holds the pages to it. `blt study --results docs/study/results.json` draws the figures of the same file.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

/** Pages with marks. */
const PAGES = ['docs/study/README.md', 'docs/study/questions.md'];

/** Each page as it should be, by path. */
export async function currentPages() {
  const folder = mkdtempSync(join(tmpdir(), 'blt-study-'));
  try {
    const entryPoints = ['packages/cli/src/study/quotes.ts', 'bench/support/budget-plot.ts'];
    await build({
      absWorkingDir: root,
      entryPoints,
      outdir: folder,
      entryNames: '[name]',
      outExtension: { '.js': '.mjs' },
      bundle: true,
      format: 'esm',
      platform: 'node',
      logLevel: 'error',
    });
    const built = (name) => import(pathToFileURL(join(folder, name)).href);
    const { withFigures, ladderPoints } = await built('quotes.mjs');
    const { drawBudgets } = await built('budget-plot.mjs');
    const results = JSON.parse(readFileSync(join(root, 'docs/study/results.json'), 'utf8'));
    const pages = PAGES.map((path) => [path, withFigures(readFileSync(join(root, path), 'utf8'), results)]);
    const { points, references } = ladderPoints(results);
    const label = (flops) => flops.toExponential().replace('e+', 'e');
    const ladder = drawBudgets(points, references, { of: 'training FLOPs', label });
    return Object.fromEntries([...pages, ['docs/figures/ladder.svg', ladder]]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text] of Object.entries(await currentPages())) writeFileSync(join(root, path), text);
}
