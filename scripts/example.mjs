// Runs a file of examples/: `node scripts/example.mjs microblt [its arguments]`. In a fresh clone it installs and builds the kernels first.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { endAs, runChild } from './pass-signals.mjs';
import { prepareSources, root } from './workspace.mjs';

const [name = '', ...args] = process.argv.slice(2);
if (!existsSync(join(root, `examples/${name}.ts`))) {
  console.error(`there is no examples/${name}.ts; usage: node scripts/example.mjs NAME`);
  process.exit(2);
}
await prepareSources();
const { fromSources } = await import('./from-sources.mjs');
const file = await fromSources(`examples/${name}.ts`, 'examples');
// In the root, where the examples look for the book.
endAs(await runChild(process.execPath, [file, ...args], { cwd: root }));
