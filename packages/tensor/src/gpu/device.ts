/**
 * @file Choosing a device. The mode is asked for by name, and nothing else is taken in its place. A device has computed a few kernels
 * correctly before anyone gets it.
 */
import { checkOptions } from '../given.ts';
import { backendOf, type GpuBackend } from './backend.ts';
import type { Driver } from './drivers/driver.ts';
import type { GpuMode } from './drivers/gpu-js.ts';
import { selfTest } from './self-test.ts';

/** The APIs that gpu.js kernels run on, the best one first. */
export const GPU_MODES: readonly GpuMode[] = ['webgpu', 'webgl2', 'webasm'];

/** Options of `createGpuBackend`. */
export interface GpuOptions {
  /** Where kernels run; `webasm` is the CPU. */
  mode: GpuMode;
  /** How to load the optional package `webgpu` in Node, where it cannot be found from here (one-file bundles). */
  loadWebgpu?: () => Promise<unknown>;
}

/** No device of the mode that was asked for; the message says what was tried and how to get one. */
export class GpuUnavailableError extends Error {
  override readonly name = 'GpuUnavailableError';
}

/** The package `webgpu`: Dawn for Node. */
interface DawnModule {
  create(flags: string[]): { requestAdapter(options?: object): Promise<GPUAdapter | null> };
  readonly globals: object;
}

const inNode = (): boolean => typeof process !== 'undefined' && typeof process.versions?.node === 'string';

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0];

// A name the bundlers of browsers do not follow.
const dawnPackage = 'webgpu';
const importDawn = (): Promise<unknown> => import(/* @vite-ignore */ /* webpackIgnore: true */ dawnPackage);

/**
 * A `navigator.gpu` for Node. Software drivers without a screen are reached through OpenGL ES with EGL_PLATFORM=surfaceless, and
 * are only "compatible" adapters.
 */
async function openDawn(load: () => Promise<unknown>): Promise<{ how: string; gpu: object; globals: object }> {
  const loaded = (await load()) as Partial<DawnModule> & { default?: DawnModule };
  const dawn = loaded.create ? (loaded as DawnModule) : loaded.default!;
  const surfaceless = process.env.EGL_PLATFORM === 'surfaceless';
  const instance = dawn.create(surfaceless ? ['backend=opengles'] : []);
  const requestAdapter = (options?: object) =>
    instance.requestAdapter(surfaceless ? { ...options, featureLevel: 'compatibility' } : options);
  return {
    how: `the package webgpu${surfaceless ? ', OpenGL ES without a screen' : ''}`,
    gpu: { requestAdapter },
    globals: dawn.globals,
  };
}

/** Where gpu.js looks for a GPU. From Node 21 on there is a navigator, whose properties cannot be assigned. */
function installGpu(gpu: object): void {
  if (typeof navigator === 'undefined') {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
}

const gpuOfNavigator = (): GPU | undefined =>
  typeof navigator === 'undefined' ? undefined : (navigator as { gpu?: GPU }).gpu;

/** How WebGPU was reached, once Dawn is in place of the browser. */
let reached: string | null = null;

/**
 * Makes sure that gpu.js will find an adapter.
 * @returns how it is reached
 * @throws GpuUnavailableError
 */
async function findWebgpu(load: () => Promise<unknown>): Promise<string> {
  let how = reached ?? 'the browser';
  let gpu: { requestAdapter(): Promise<unknown> } | undefined = gpuOfNavigator();
  let install = (): void => {};
  if (!gpu && !inNode()) {
    throw new GpuUnavailableError(
      "no WebGPU: this browser has no navigator.gpu; use a current Chrome, Edge, Firefox or Safari over https or from localhost, or mode 'webgl2'",
    );
  }
  if (!gpu) {
    try {
      const dawn = await openDawn(load);
      how = dawn.how;
      gpu = dawn.gpu as GPU;
      install = () => {
        Object.assign(globalThis, dawn.globals);
        installGpu(dawn.gpu);
        reached = how;
      };
    } catch (error) {
      throw new GpuUnavailableError(
        `no WebGPU: the optional package webgpu does not load (${reason(error)}); install it with \`npm install webgpu@0.6.2\`, or use mode 'webasm'`,
      );
    }
  }
  let refusal = 'no adapter answered';
  try {
    if (await gpu.requestAdapter()) {
      install();
      return how;
    }
  } catch (error) {
    refusal = `asking for an adapter failed: ${reason(error)}`;
  }
  const remedy = inNode()
    ? 'install a Vulkan driver (on Debian libvulkan1 and the driver of your GPU), or for a software GPU libegl1, libegl-mesa0 and libgl1-mesa-dri with EGL_PLATFORM=surfaceless'
    : 'switch on hardware acceleration in the settings of the browser; chrome://gpu says what blocks it';
  throw new GpuUnavailableError(`no WebGPU adapter (through ${how}: ${refusal}): ${remedy}; or use mode 'webasm'`);
}

/**
 * Loads the driver of a mode, and gpu.js with it, which importers of this package have only if they asked for it.
 * @throws GpuUnavailableError
 */
async function loaded<T>(driver: Promise<T>): Promise<T> {
  try {
    return await driver;
  } catch (error) {
    throw new GpuUnavailableError(
      `the gpu backend needs the optional package gpu.js, which does not load (${reason(error)}); install it with \`npm install gpu.js@2.24.1\``,
    );
  }
}

async function createDriver({ mode, loadWebgpu = importDawn }: GpuOptions): Promise<Driver> {
  if (mode === 'webgpu') {
    const how = await findWebgpu(loadWebgpu);
    return (await loaded(import('./drivers/webgpu.ts'))).createWebgpuDriver(how);
  }
  if (mode === 'webasm') return (await loaded(import('./drivers/webasm.ts'))).createWebasmDriver();
  if (mode === 'webgl2') {
    if (typeof WebGL2RenderingContext === 'undefined') {
      throw new GpuUnavailableError(
        `no WebGL 2 ${inNode() ? 'in Node: it exists in browsers' : 'in this browser'}; use mode 'webgpu' or 'webasm'`,
      );
    }
    const { createWebgl2Driver } = await loaded(import('./drivers/webgl2.ts'));
    try {
      return createWebgl2Driver();
    } catch (error) {
      throw new GpuUnavailableError(`WebGL 2 does not start (${reason(error)}); use mode 'webgpu' or 'webasm'`);
    }
  }
  throw new RangeError(`createGpuBackend: mode must be one of ${GPU_MODES.join(', ')}, got ${JSON.stringify(mode)}`);
}

/**
 * A backend on a GPU, or on gpu.js's WebAssembly. It has passed a self-test against the definition of a few kernels.
 * @throws GpuUnavailableError if the device is not there, or computes wrongly
 */
export async function createGpuBackend(options: GpuOptions): Promise<GpuBackend> {
  checkOptions('createGpuBackend', options, ['mode', 'loadWebgpu']);
  const backend = backendOf(await createDriver(options));
  try {
    await selfTest(backend);
  } catch (error) {
    await backend.destroy();
    throw new GpuUnavailableError(
      `${backend.description} failed its self-test: ${reason(error)}; use another mode or another driver`,
    );
  }
  return backend;
}
