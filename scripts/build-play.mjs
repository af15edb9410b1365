// The page of `blt play`, into packages/cli/dist/play: two scripts, the worker's gpu.js chunk, the two models, and the source of
// every kernel for reading.
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { kernelTexts } from './kernel-texts.mjs';

export async function buildPlay(root) {
  const source = join(root, 'packages/cli/src/play');
  const out = join(root, 'packages/cli/dist/play');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const common = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    target: 'es2022',
    platform: 'browser',
    conditions: ['@blt-ts/source'],
    legalComments: 'none',
    logLevel: 'warning',
  };
  // A classic script: one opened from a file still runs, and says why the page does not work there.
  await build({
    ...common,
    entryPoints: [join(source, 'page/main.ts')],
    outfile: join(out, 'main.js'),
    format: 'iife',
  });
  const gpu = join(root, 'packages/tensor/src/gpu/index.ts');
  const entryPoints = { worker: join(source, 'worker/worker.ts') };
  if (existsSync(gpu)) entryPoints.gpu = gpu;
  await build({ ...common, entryPoints, outdir: out, format: 'esm', splitting: true, chunkNames: 'chunk-[hash]' });
  await build({ ...common, entryPoints: [join(source, 'page/style.css')], outfile: join(out, 'style.css') });
  copyFileSync(join(source, 'page/index.html'), join(out, 'index.html'));
  for (const name of ['entropy-model.safetensors', 'moby-dick.safetensors']) {
    copyFileSync(join(source, 'assets', name), join(out, name));
  }
  writeFileSync(join(out, 'kernels.json'), JSON.stringify({ gpu: existsSync(gpu), ...kernelTexts(root) }));
}
