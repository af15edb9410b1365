// `pnpm bench` lists the benchmarks, `pnpm bench train|... [flags]` bundles one file of bench/ and runs it; with --node 24 in that
// version of Node (or --node PATH).
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { otherNode } from './other-node.mjs';
import { endAs, runChild } from './pass-signals.mjs';
import { prepareSources, root } from './workspace.mjs';

const [name = '', ...args] = process.argv.slice(2);
const entry = join(root, 'bench', `${name}.ts`);
if (!existsSync(entry)) {
  // The first sentence of each file's comment says what it measures.
  const names = readdirSync(join(root, 'bench'))
    .filter((f) => f.endsWith('.ts'))
    .map((f) => {
      const text = readFileSync(join(root, 'bench', f), 'utf8').match(/@file ([\s\S]*?)\*\//)?.[1] ?? '';
      const first = text.replace(/\s*\n\s*\*?\s*/g, ' ').split(/(?:: |[.;,] )/)[0];
      return `  ${f.slice(0, -3).padEnd(10)} ${first}`;
    });
  const usage = `usage: pnpm bench NAME [--config S|SL|M] [--threads N] [--json] [--node VERSION|PATH] ...\n\n${names.join('\n')}`;
  if (name === '' || name === '--help') console.log(usage);
  else console.error(`${usage}\n\nthere is no benchmark ${JSON.stringify(name)}`);
  process.exit(name === '' || name === '--help' ? 0 : 2);
}
const at = args.indexOf('--node');
const [, version = ''] = at < 0 ? [] : args.splice(at, 2);
if (at >= 0 && (version === '' || version.startsWith('-'))) {
  console.error('--node needs a version or the path of a Node: --node 24');
  process.exit(2);
}
await prepareSources();
const { fromSources } = await import('./from-sources.mjs');
const outfile = await fromSources(`bench/${name}.ts`, 'bench');
const node = at < 0 ? process.execPath : otherNode(version);
// In the root: benchmarks name files from there.
endAs(await runChild(node, [outfile, ...args], { cwd: root }));
