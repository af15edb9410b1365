// Builds the page of examples/page/ as one HTML file that a browser opens from the disk: `node scripts/example-page.mjs page.html`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareSources, root } from './workspace.mjs';

/** The text of the page, with its script inside. */
export async function examplePage() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['examples/page/page.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['@blt-ts/source'],
    write: false,
  });
  // In HTML the text of a script ends at the first </script.
  const script = outputFiles[0].text.replaceAll('</script', '<\\/script');
  return readFileSync(join(root, 'examples/page/index.html'), 'utf8').replace('/* bundle */', () => script);
}

if (process.argv[1] === import.meta.filename) {
  const [out] = process.argv.slice(2);
  if (!out || process.argv.length > 3) {
    console.error('usage: node scripts/example-page.mjs FILE.html');
    process.exit(2);
  }
  await prepareSources();
  const page = await examplePage();
  writeFileSync(out, page);
  console.log(`${out}: ${Math.round(page.length / 1000)} kB; open it in a browser`);
}
