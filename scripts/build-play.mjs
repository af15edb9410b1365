// The page of `blt play`, into packages/cli/dist/play: two scripts, the worker's gpu.js chunk, the entropy model, and the source of
// every kernel for reading.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { kernelTexts } from './kernel-texts.mjs';

/**
 * The two builds of the WebAssembly kernels differ in few instructions. As hexadecimal, in alternating pieces that fit into gzip's
 * window together, they take half the bytes of two base64 texts on the way to the browser.
 */
const denseKernels = {
  name: 'dense kernels',
  setup(builder) {
    builder.onLoad({ filter: /kernels\.generated\.ts$/ }, ({ path }) => {
      const found = [...readFileSync(path, 'utf8').matchAll(/(\w+): \{ memoryFlags: (\d+), base64: '([^']+)' \}/g)];
      if (found.length !== 2) throw new Error(`${path}: expected two builds of the kernels, found ${found.length}`);
      const hex = found.map(([, , , base64]) => Buffer.from(base64, 'base64').toString('hex'));
      const pieces = [];
      for (let at = 0; at < Math.max(...hex.map((text) => text.length)); at += 12_000) {
        for (const text of hex) pieces.push(text.slice(at, at + 12_000));
      }
      const builds = found.map(([, name, flags], i) => `${name}: { memoryFlags: ${flags}, base64: unpack(${i}) }`);
      return {
        contents: `const pieces = ${JSON.stringify(pieces)};
          const unpack = (build) => btoa(pieces.filter((_, i) => i % 2 === build).join('')
            .replace(/../g, (byte) => String.fromCharCode(parseInt(byte, 16))));
          export const builds = { ${builds.join(', ')} };`,
        loader: 'js',
      };
    });
  },
};

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
    plugins: [denseKernels],
  };
  // A classic script: one opened from a file still runs, and says why the page does not work there.
  await build({ ...common, entryPoints: [join(source, 'main.ts')], outfile: join(out, 'main.js'), format: 'iife' });
  const gpu = join(root, 'packages/tensor/src/gpu/index.ts');
  const entryPoints = { worker: join(source, 'worker.ts') };
  if (existsSync(gpu)) entryPoints.gpu = gpu;
  await build({ ...common, entryPoints, outdir: out, format: 'esm', splitting: true, chunkNames: 'chunk-[hash]' });
  await build({ ...common, entryPoints: [join(source, 'style.css')], outfile: join(out, 'style.css') });
  copyFileSync(join(source, 'index.html'), join(out, 'index.html'));
  copyFileSync(join(source, 'assets/entropy-model.safetensors'), join(out, 'entropy-model.safetensors'));
  writeFileSync(join(out, 'kernels.json'), JSON.stringify({ gpu: existsSync(gpu), ...kernelTexts(root) }));
}
