import { type Backend, createReferenceBackend, setDefaultBackend } from '@blt-ts/tensor';
import type { GpuBackend } from '@blt-ts/tensor/gpu';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type BackendOptions,
  chooseBackend,
  type Machine,
  thisMachine,
} from '../../../packages/cli/src/config/backend-choice.ts';
import { BACKEND_NAMES } from '../../../packages/cli/src/config/backend-names.ts';

const cpu = createReferenceBackend();
afterEach(() => setDefaultBackend(cpu));

/** A device that only has a name. */
function device(description: string, software: boolean) {
  const backend = { ...cpu, name: 'webgpu', description, software, synchronous: false, destroyed: false };
  const destroy = async () => {
    backend.destroyed = true;
  };
  return Object.assign(backend, { destroy }) as unknown as GpuBackend & { destroyed: boolean };
}

const wasm = { ...cpu, name: 'wasm', description: 'a fake' } as Backend;
const gpu = (open: (mode: string) => GpuBackend): Machine['loadGpu'] => {
  const createGpuBackend = async ({ mode }: { mode: string }) => open(mode);
  return async () => ({ createGpuBackend });
};
const machine = (parts: Partial<Machine>): Machine => ({
  noGpu: () => null,
  loadGpu: () => Promise.reject(new Error('loadGpu was called')),
  createWasm: () => wasm,
  ...parts,
});
const choose = async (options: BackendOptions, parts: Partial<Machine>) => {
  const { backend, why } = await chooseBackend(options, machine(parts));
  expect(why.startsWith(`${backend.name} (${backend.description}); `)).toBe(true);
  return { name: backend.name, because: why.slice(backend.name.length + backend.description.length + 5) };
};
const fail = (message: string) => () => {
  throw new Error(message);
};

describe('auto', () => {
  test('takes a hardware GPU that answers', async () => {
    const loadGpu = gpu(() => device('WebGPU on nvidia hopper', false));
    expect(await choose({}, { loadGpu })).toEqual({
      name: 'webgpu',
      because: 'chosen because this GPU answers and has passed its self-test',
    });
  });

  test('gives a software GPU back, and takes wasm', async () => {
    const llvmpipe = device('WebGPU on llvmpipe', true);
    expect(await choose({}, { loadGpu: gpu(() => llvmpipe) })).toEqual({
      name: 'wasm',
      because: 'chosen because the only GPU is software (WebGPU on llvmpipe), slower than wasm',
    });
    expect(llvmpipe.destroyed).toBe(true);
  });

  test.each([
    [{ noGpu: () => 'this machine has no GPU' }, 'this machine has no GPU'],
    [
      { loadGpu: gpu(fail("no WebGPU adapter (through x): install y; or use mode 'webasm'")) },
      'there is no WebGPU adapter (through x): install y; or use --backend webasm',
    ],
    [
      { loadGpu: gpu(fail('WebGPU on x failed its self-test: matmul is off by 3')) },
      'WebGPU does not start: WebGPU on x failed its self-test: matmul is off by 3',
    ],
    [
      { loadGpu: () => Promise.reject(new Error("Cannot find package 'gpu.js'")) },
      "WebGPU does not start: Cannot find package 'gpu.js'",
    ],
  ])('else takes wasm and says why, %#', async (parts, why) => {
    expect(await choose({}, parts)).toEqual({ name: 'wasm', because: `chosen because ${why}` });
  });

  test('takes reference where nothing else starts', async () => {
    const parts = { noGpu: () => 'this machine has no GPU', createWasm: fail('no SIMD') };
    expect(await choose({}, parts)).toEqual({
      name: 'reference',
      because: 'chosen because wasm does not start (no SIMD) and this machine has no GPU',
    });
  });

  test('never loads the GPU half where there is no GPU, nor for what a device cannot do', async () => {
    expect((await choose({}, { noGpu: () => 'none' })).name).toBe('wasm');
    expect(await choose({ needsCpu: '--detect-anomaly reads every result at once' }, {})).toEqual({
      name: 'wasm',
      because: 'chosen because --detect-anomaly reads every result at once, which no GPU allows',
    });
  });
});

describe('by name', () => {
  test('reference and wasm load no GPU half, devices are what they are called', async () => {
    expect(await choose({ backend: 'reference' }, {})).toEqual({ name: 'reference', because: 'as asked' });
    expect(await choose({ backend: 'wasm' }, {})).toEqual({ name: 'wasm', because: 'as asked' });
    const asked: string[] = [];
    const loadGpu = gpu((mode) => {
      asked.push(mode);
      return device('a device', true);
    });
    for (const backend of ['webgpu', 'webgl2', 'webasm'] as const) await choose({ backend }, { loadGpu });
    expect(asked).toEqual(['webgpu', 'webgl2', 'webasm']);
    expect(BACKEND_NAMES).toEqual(['auto', 'wasm', 'reference', ...asked]);
  });

  test('one that is not there is an error in the words of the command line', async () => {
    const refused = (options: BackendOptions, parts: Partial<Machine>) =>
      expect(chooseBackend(options, machine(parts))).rejects;
    await refused({ backend: 'webgl2' }, { loadGpu: thisMachine.loadGpu }).toMatchObject({
      name: 'UserError',
      exitCode: 1,
      message: '--backend webgl2: no WebGL 2 in Node: it exists in browsers; use --backend webgpu or webasm',
    });
    await refused({ backend: 'wasm' }, { createWasm: fail('no SIMD') }).toThrow(
      'the wasm backend does not start: no SIMD; use --backend reference',
    );
    await refused({ backend: 'webgpu', needsCpu: '--detect-anomaly reads every result at once' }, {}).toMatchObject({
      exitCode: 2,
      message: '--detect-anomaly reads every result at once, which webgpu does not allow; use --backend wasm',
    });
  });

  test('webasm starts on any machine, and computes', async () => {
    const { backend, why } = await chooseBackend({ backend: 'webasm' });
    expect(why).toBe('webasm (WebAssembly on the CPU through gpu.js, one thread); as asked');
    expect((backend as GpuBackend).software).toBe(true);
    await (backend as GpuBackend).destroy();
  });
});
