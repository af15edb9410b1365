/** @file Size of tensor and autograd with their WebAssembly, minified and gzipped. `pnpm bench size [--json]` */
import { spawnSync } from 'node:child_process';
import { flags, report } from './support/harness.ts';

flags({});
// In a process of its own: esbuild's script stands outside the bundle.
const script =
  "import('./scripts/library-size.mjs').then(async (m) => console.log(JSON.stringify(await m.librarySize())))";
const { stdout } = spawnSync(process.execPath, ['-e', script], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
const size = JSON.parse(stdout) as Record<string, number>;
const kb = (bytes: number) => (bytes / 1000).toFixed(1);
report('size', size, [
  `tensor + autograd with their WebAssembly: ${kb(size.minified)} kB minified, ${kb(size.gzipped)} kB gzipped (${kb(size.gzipped_without_wasm)} without the kernels)`,
  `tensor, grad and matmul alone: ${kb(size.product_gzipped)} kB gzipped, ${kb(size.product_on_reference_gzipped)} kB with the condition blt-reference`,
]);
