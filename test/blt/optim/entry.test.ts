/** @file The entries beside the main ones: each runs in a browser, and brings nothing that it does not need. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The files of the packages, and the packages from elsewhere, that an import brings into a page. */
async function broughtBy(code: string): Promise<{ files: string[]; packages: string[] }> {
  const { metafile } = await build({
    absWorkingDir: root,
    stdin: { contents: code, resolveDir: join(root, 'test') },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['@blt-ts/source'],
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const [output] = Object.values(metafile.outputs);
  const used = Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []));
  return {
    files: used.filter((file) => file.startsWith('packages/')),
    packages: [...new Set(used.flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []))].sort(),
  };
}

test('@blt-ts/blt/optim brings no file of the model', async () => {
  const { files } = await broughtBy("export * from '@blt-ts/blt/optim';");
  expect(files.filter((file) => /packages\/blt\/src\/(?!optim\/|copy\.ts)/.test(file))).toEqual([]);
  expect(files).toContain('packages/blt/src/optim/muon.ts');
});

test('sampleLogits alone brings no tensor and no model, but the exponential that has the same bits everywhere', async () => {
  const { files } = await broughtBy("import { sampleLogits } from '@blt-ts/blt'; console.log(sampleLogits);");
  expect(files.sort()).toEqual([
    'packages/blt/src/decoding/sampling.ts',
    'packages/tensor/src/numerics/natural-exp.ts',
  ]);
});

test('the laws bring fast-check, and the main entries nothing of the laws', async () => {
  for (const name of ['autograd', 'blt']) {
    const laws = await broughtBy(`export * from '@blt-ts/${name}/testing';`);
    expect(laws.packages).toContain('fast-check');
    const main = await broughtBy(`export * from '@blt-ts/${name}';`);
    expect(main.packages).not.toContain('fast-check');
    expect(main.files.filter((file) => file.includes('/testing/'))).toEqual([]);
  }
});
