/** @file A device is the one that was asked for, or a sentence that says why not. */
import { createReferenceBackend } from '@blt-ts/tensor';
import { createGpuBackend, GPU_MODES } from '@blt-ts/tensor/gpu';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { backendOf } from '../../../packages/tensor/src/gpu/backend.ts';
import { assertMode, type CompiledKernel } from '../../../packages/tensor/src/gpu/drivers/gpu-js.ts';
import { selfTest } from '../../../packages/tensor/src/gpu/self-test.ts';
import { createFakeDriver } from '../../support/fake-driver.ts';

const adapter = (answer: () => Promise<unknown>) => async () => ({
  create: () => ({ requestAdapter: answer }),
  globals: {},
});

test('the package webgpu missing: the error says how to install it', async () => {
  const loadWebgpu = () => Promise.reject(new Error("Cannot find package 'webgpu'\nRequire stack"));
  await expect(createGpuBackend({ mode: 'webgpu', loadWebgpu })).rejects.toThrow(
    "no WebGPU: the optional package webgpu does not load (Cannot find package 'webgpu'); install it with `npm install webgpu@0.6.2`, or use mode 'webasm'",
  );
});

test('no adapter: the error says what was tried and which drivers there are', async () => {
  const none = createGpuBackend({ mode: 'webgpu', loadWebgpu: adapter(async () => null) });
  await expect(none).rejects.toMatchObject({ name: 'GpuUnavailableError' });
  await expect(none).rejects.toThrow(
    'no WebGPU adapter (through the package webgpu: no adapter answered): install a Vulkan driver',
  );
  const broken = createGpuBackend({
    mode: 'webgpu',
    loadWebgpu: adapter(() => Promise.reject(new Error('driver too old'))),
  });
  await expect(broken).rejects.toThrow('asking for an adapter failed: driver too old');
});

test('WebGL 2 in Node, and modes that do not exist, are refused by name', async () => {
  await expect(createGpuBackend({ mode: 'webgl2' })).rejects.toThrow(
    "no WebGL 2 in Node: it exists in browsers; use mode 'webgpu' or 'webasm'",
  );
  await expect(createGpuBackend({ mode: 'gpu' as 'webgpu' })).rejects.toThrow(
    'createGpuBackend: mode must be one of webgpu, webgl2, webasm, got "gpu"',
  );
  expect(GPU_MODES).toEqual(['webgpu', 'webgl2', 'webasm']);
});

test('a device that computes nonsense does not pass the self-test; the definition does', async () => {
  await expect(selfTest(backendOf(createFakeDriver()))).rejects.toThrow('matmul is off by');
  await expect(selfTest(createReferenceBackend())).resolves.toBeUndefined();
});

test('a kernel that gpu.js runs in another mode than the one asked for is an error', () => {
  const compiled = (mode: string, fallbackReason: string | null) =>
    ({ kernel: { constructor: { mode }, fallbackReason } }) as unknown as CompiledKernel;
  expect(() => assertMode(compiled('webasm', null), 'webasm', 'add')).not.toThrow();
  expect(() => assertMode(compiled('gpu', null), 'webgl2', 'add')).not.toThrow();
  expect(() => assertMode(compiled('cpu', 'kernel maps'), 'webasm', 'add')).toThrow(
    "gpu.js runs kernel add as 'cpu' instead of 'webasm': kernel maps",
  );
});

test('both entries of the package share one class Tensor, and the main one does not load gpu.js', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: { index: 'packages/tensor/src/index.ts', gpu: 'packages/tensor/src/gpu/index.ts' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    packages: 'external',
    outdir: 'unused',
    write: false,
    metafile: true,
  });
  expect(outputFiles.filter((file) => file.text.includes('assertLive() {')).length).toBe(1);
  const imports = (name: string): string[] => {
    const output = metafile.outputs[`unused/${name}`];
    return output.imports.flatMap(({ path, external }) => (external ? [path] : imports(path.replace('unused/', ''))));
  };
  expect(imports('gpu.js')).toContain('gpu.js');
  expect(imports('index.js')).not.toContain('gpu.js');
});
