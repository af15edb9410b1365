// `pnpm bench train|... [flags]`: bundles one file of bench/ and runs it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const [name = '', ...args] = process.argv.slice(2);
const entry = join(root, 'bench', `${name}.ts`);
if (!existsSync(entry)) {
  const names = readdirSync(join(root, 'bench'))
    .filter((f) => f.endsWith('.ts'))
    .map((f) => f.slice(0, -3));
  console.error(`usage: pnpm bench ${names.join('|')} [--json] ...; there is no benchmark ${JSON.stringify(name)}`);
  process.exit(2);
}
const outfile = join(root, 'node_modules', '.bench', `${name}.mjs`);
await build({
  absWorkingDir: root,
  entryPoints: [entry],
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
process.exit(spawnSync(process.execPath, [outfile, ...args], { stdio: 'inherit' }).status ?? 1);
