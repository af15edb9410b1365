// Makes the two models in packages/cli/src/play/assets of a trained run: node scripts/play-models.mjs RUN
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const [run = 'runs/play'] = process.argv.slice(2);
// Beside the sources, so that the packages of the command are found.
const outfile = join(root, 'packages/cli/dist/pack-models.mjs');
await build({
  absWorkingDir: root,
  entryPoints: ['packages/cli/src/play/pack-models.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  conditions: ['@blt-ts/source'],
  logLevel: 'warning',
});
const assets = join(root, 'packages/cli/src/play/assets');
process.exit(spawnSync(process.execPath, [outfile, run, assets], { stdio: 'inherit' }).status ?? 1);
