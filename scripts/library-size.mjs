// Size of @blt-ts/autograd with @blt-ts/tensor in it, all exports, minified and gzipped. `pnpm bench size`, test/library-size.test.ts
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

/** @returns bytes: minified, gzipped, and gzipped without the WebAssembly kernels */
export async function librarySize() {
  const bundle = async (stub) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      stdin: {
        contents: "export * from '@blt-ts/tensor'; export * from '@blt-ts/autograd';",
        resolveDir: join(root, 'packages/autograd'),
      },
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      alias: Object.fromEntries(
        ['tensor', 'autograd'].map((name) => [`@blt-ts/${name}`, join(root, `packages/${name}/src/index.ts`)]),
      ),
      plugins: stub ? [withoutKernels] : [],
      write: false,
      logLevel: 'warning',
    });
    return outputFiles[0].contents;
  };
  const all = await bundle(false);
  return {
    minified: all.length,
    gzipped: gzipSync(all, { level: 9 }).length,
    gzipped_without_wasm: gzipSync(await bundle(true), { level: 9 }).length,
  };
}

const withoutKernels = {
  name: 'without kernels',
  setup(setup) {
    setup.onLoad({ filter: /kernels\.generated\.ts$/ }, () => ({
      contents: "export const memoryFlags = 0, alphabet = '', encoded = '';",
      loader: 'ts',
    }));
  },
};
