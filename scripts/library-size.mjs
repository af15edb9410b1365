// Size of @blt-ts/autograd with @blt-ts/tensor in it, minified and gzipped: all exports, and what a page needs for a product and its
// gradient. `pnpm bench size`, test/library-size.test.ts
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const EVERYTHING = "export * from '@blt-ts/tensor'; export * from '@blt-ts/autograd';";
const LITTLE = "export { tensor } from '@blt-ts/tensor'; export { grad, matmul } from '@blt-ts/autograd';";

/**
 * @returns bytes: minified, gzipped, and gzipped without the WebAssembly kernels; then those of `tensor`, `grad` and `matmul` alone, gzipped,
 * with the default backend and with the condition `blt-reference`
 */
export async function librarySize() {
  const bundle = async (stub, contents = EVERYTHING, conditions = []) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      stdin: {
        contents,
        resolveDir: join(root, 'packages/autograd'),
      },
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      conditions: [...conditions, '@blt-ts/source'],
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
    gzipped: gzipped(all),
    gzipped_without_wasm: gzipped(await bundle(true)),
    product_gzipped: gzipped(await bundle(false, LITTLE)),
    product_on_reference_gzipped: gzipped(await bundle(false, LITTLE, ['blt-reference'])),
  };
}

const gzipped = (code) => gzipSync(code, { level: 9 }).length;

const withoutKernels = {
  name: 'without kernels',
  setup(setup) {
    setup.onLoad({ filter: /kernels\.generated\.ts$/ }, () => ({
      contents: "export const memoryFlags = 0, unpacker = '', packed = '';",
      loader: 'ts',
    }));
  },
};
