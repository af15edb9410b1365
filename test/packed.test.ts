/** @file tensor and autograd as importers have them: packed, installed into an empty folder, used from JavaScript, TypeScript, a bundle and a page. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { inChromium } from './support/chromium.ts';
import { installPacked } from './support/packed.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'blt-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
installPacked(folder);

/** A program of an importer. It ends by itself although threads have started. */
const program = `
import { defaultBackend, tensor } from '@blt-ts/tensor';
import { grad, matmul, sum } from '@blt-ts/autograd';
const f = (w) => sum(matmul(w, w));
const big = tensor(new Float32Array(256 * 256).fill(1), [256, 256]);
const found = [defaultBackend().name, String(grad(f)(tensor([[1, 2], [3, 4]]))), matmul(big, big).readSync()[5]].join(';');
`;
const expected = 'wasm;Tensor(f32 [2,2]) [[7.0000, 11.0000],\n [9.0000, 13.0000]];256';

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function node(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { stdout: stdout.trim(), stderr, status };
}

test('an install is three packages, small, without a script', () => {
  const modules = join(folder, 'node_modules');
  expect(readdirSync(modules).filter((name) => !name.startsWith('.'))).toEqual(['@blt-ts', 'pure-rand']);
  expect(readdirSync(join(modules, '@blt-ts')).sort()).toEqual(['autograd', 'tensor']);
  const files = (readdirSync(modules, { recursive: true }) as string[]).map((file) => join(modules, file));
  const bytes = files.map((file) => statSync(file)).reduce((sum, s) => sum + (s.isFile() ? s.size : 0), 0);
  expect(bytes).toBeLessThan(4_000_000);
  for (const name of ['tensor', 'autograd', 'blt', 'cli']) {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
    expect(Object.keys(manifest.scripts)).toEqual(['prepack']);
  }
});

test('JavaScript: the default backend is wasm, by import, by require, and in a worker', () => {
  expect(node(write('use.mjs', `${program}console.log(found);`))).toEqual({ stdout: expected, stderr: '', status: 0 });
  const common = `const { tensor } = require('@blt-ts/tensor'); console.log(String(tensor([1, 2])));`;
  expect(node('--no-warnings', write('use.cjs', common)).stdout).toBe('Tensor(f32 [2]) [1.0000, 2.0000]');
  write('worker.mjs', `${program}import { parentPort } from 'node:worker_threads'; parentPort.postMessage(found);`);
  const main = `import { Worker } from 'node:worker_threads';
    new Worker(new URL('./worker.mjs', import.meta.url)).on('message', (found) => console.log(found));`;
  expect(node(write('main.mjs', main))).toEqual({ stdout: expected, stderr: '', status: 0 });
});

test('importing does nothing: no WebAssembly, no thread, no flag before the first tensor', () => {
  const text = `
    const { Memory, Module } = WebAssembly;
    let made = 0;
    WebAssembly.Module = class extends Module { constructor(...args) { super(...args); made++; } };
    WebAssembly.Memory = class extends Memory { constructor(...args) { super(...args); made++; } };
    const { tensor, setDefaultBackend, referenceBackend } = await import('@blt-ts/tensor');
    await import('@blt-ts/autograd');
    const imported = made;
    const before = setDefaultBackend(referenceBackend);
    tensor([1]);
    console.log(imported, before, made, (setDefaultBackend(null), tensor([1]), made > 0));`;
  expect(node(write('quiet.mjs', text)).stdout).toBe('0 null 0 true');
});

test('without WebAssembly the default backend is reference', () => {
  const text = `delete globalThis.WebAssembly;
    const { defaultBackend } = await import('@blt-ts/tensor');
    console.log(defaultBackend().name);`;
  expect(node(write('plain.mjs', text))).toEqual({ stdout: 'reference', stderr: '', status: 0 });
});

test('asking for a GPU without gpu.js is answered with one sentence that names the package', () => {
  const text = `import { createGpuBackend } from '@blt-ts/tensor/gpu';
    await createGpuBackend({ mode: 'webasm' }).catch((error) => console.log(\`\${error.name}: \${error.message}\`));`;
  expect(node(write('gpu.mjs', text)).stdout).toMatch(
    /^GpuUnavailableError: the gpu backend needs the optional package gpu\.js, which does not load \(.*\); install it with `npm install gpu\.js@2\.24\.1`$/,
  );
});

test('strict TypeScript without the types of a browser or of Node, and without skipLibCheck', () => {
  write(
    'use.mts',
    `import { scope, tensor, type Tensor } from '@blt-ts/tensor';
    import { grad, mul, sum } from '@blt-ts/autograd';
    export function slope(): Tensor {
      using s = scope();
      using x = tensor([1]);
      return s.pass(grad((w: Tensor) => sum(mul(w, w)))(x));
    }`,
  );
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    ...{ target: 'es2022', lib: ['es2022'], types: [], module: 'nodenext', noEmit: true },
  };
  write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['use.mts'] }));
  const tsc = (modules: string) => node(join(modules, 'typescript/bin/tsc'), '-p', '.');
  expect(tsc(join(root, 'node_modules'))).toEqual({ stdout: '', stderr: '', status: 0 });
  if (!process.env.BLT_SLOW) return;
  // The oldest TypeScript that the README of tensor states. Typed arrays became generic in it.
  const oldest = mkdtempSync(join(tmpdir(), 'blt-test-'));
  const install = ['install', '--no-audit', '--no-fund', '--silent', '--ignore-scripts', 'typescript@5.7.3'];
  spawnSync('npm', install, { cwd: oldest, shell: process.platform === 'win32' });
  expect(tsc(join(oldest, 'node_modules'))).toEqual({ stdout: '', stderr: '', status: 0 });
  rmSync(oldest, { recursive: true, force: true });
});

test('the declarations of blt need no types of a browser or of Node', () => {
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, module: 'nodenext', target: 'es2022' },
    ...{ lib: ['es2022'], types: [] },
  };
  const files = ['index', 'optim/index'].map((name) => join(root, `packages/blt/dist/${name}.d.ts`));
  const config = write('blt.json', JSON.stringify({ compilerOptions, files }));
  const { stdout, status } = node(join(root, 'node_modules/typescript/bin/tsc'), '-p', config);
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
});

const bundle = async (conditions: string[]) => {
  const contents = `${program}globalThis.found = found;`;
  const options = { bundle: true, minify: true, format: 'esm', platform: 'neutral', write: false, conditions } as const;
  const { outputFiles } = await build({
    ...options,
    mainFields: ['module', 'main'],
    stdin: { contents, resolveDir: folder },
  });
  return outputFiles[0].text;
};

test('a bundle of esbuild computes the same, with WebAssembly or without', async () => {
  write('bundle.mjs', `${await bundle([])}console.log(globalThis.found);`);
  expect(node('bundle.mjs')).toEqual({ stdout: expected, stderr: '', status: 0 });
  const plain = await bundle(['blt-reference']);
  expect(plain).not.toContain('WebAssembly.Module');
  write('plain-bundle.mjs', `${plain}console.log(globalThis.found);`);
  expect(node('plain-bundle.mjs').stdout).toBe(expected.replace('wasm', 'reference'));
});

if (process.env.BLT_TEST_CHROMIUM) {
  test.each([true, false])('a page, cross-origin isolated: %s', async (isolated) => {
    const found = await inChromium(
      await bundle([]),
      async (page) => {
        await page.waitForFunction('globalThis.found !== undefined');
        return page.evaluate('globalThis.found');
      },
      { isolated },
    );
    expect(found).toBe(expected);
  });
}
