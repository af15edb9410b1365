// The SHA-256 of the golden run (test/support/golden-run.ts) on this Node, or on others:
//   node scripts/golden-run.mjs [path to another node ...]
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const outfile = join(root, 'node_modules', '.bench', 'golden-run.mjs');
await build({
  absWorkingDir: root,
  stdin: {
    contents: `import { goldenRun } from './test/support/golden-run.ts';
console.log(process.version, 'V8', process.versions.v8, process.platform, process.arch, await goldenRun());`,
    resolveDir: root,
    loader: 'ts',
  },
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  conditions: ['@blt-ts/source'],
  alias: Object.fromEntries(
    ['tensor', 'autograd', 'blt'].map((p) => [`@blt-ts/${p}`, join(root, `packages/${p}/src/index.ts`)]),
  ),
  logLevel: 'warning',
});
const others = process.argv.slice(2);
for (const node of others.length > 0 ? others : [process.execPath]) {
  process.stdout.write(execFileSync(node, [outfile], { encoding: 'utf8' }));
}
