/**
 * @file Choosing a device, openly: the mode is asked for by name, is what really runs, and has computed a few kernels right
 * before anyone gets it.
 */
import { backendOf, type GpuBackend } from './backend.ts';
import type { Driver } from './driver.ts';
import type { GpuMode } from './gpu-js.ts';
import { selfTest } from './self-test.ts';
import { createWebasmDriver } from './webasm-driver.ts';
import { createWebgl2Driver } from './webgl2-driver.ts';
import { createWebgpuDriver } from './webgpu-driver.ts';

export const GPU_MODES: readonly GpuMode[] = ['webgpu', 'webgl2', 'webasm'];

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

let installed: string | null = null;

/**
 * Puts `navigator.gpu` in place, which is where gpu.js looks. Software drivers without a screen are reached through OpenGL ES
 * with EGL_PLATFORM=surfaceless, and are only "compatible" adapters.
 * @returns how it was reached
 */
async function installDawn(load: () => Promise<unknown>): Promise<string> {
  if (installed) return installed;
  const loaded = (await load()) as Partial<DawnModule> & { default?: DawnModule };
  const dawn = loaded.create ? (loaded as DawnModule) : loaded.default!;
  const surfaceless = process.env.EGL_PLATFORM === 'surfaceless';
  const flags = surfaceless ? ['backend=opengles'] : [];
  const instance = dawn.create(flags);
  const gpu = {
    requestAdapter: (options?: object) =>
      instance.requestAdapter(surfaceless ? { ...options, featureLevel: 'compatibility' } : options),
  };
  Object.assign(globalThis, dawn.globals);
  // From Node 21 on there is a navigator, whose properties cannot be assigned.
  if (typeof navigator === 'undefined') {
    Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  } else {
    Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  }
  installed = `the package webgpu${surfaceless ? ', OpenGL ES without a screen' : ''}`;
  return installed;
}

const hasGpu = (): boolean => typeof navigator !== 'undefined' && (navigator as { gpu?: unknown }).gpu !== undefined;

/** @returns how WebGPU is reached here @throws GpuUnavailableError */
async function findWebgpu(load: () => Promise<unknown>): Promise<string> {
  const tried: string[] = [];
  let how = 'the browser';
  if (installed) how = installed;
  else if (hasGpu()) tried.push('navigator.gpu is there');
  else if (inNode()) {
    try {
      how = await installDawn(load);
      tried.push('loaded the package webgpu');
    } catch (error) {
      throw new GpuUnavailableError(
        `no WebGPU: the optional package webgpu does not load (${reason(error)}); install it with \`npm install webgpu@0.6.2\`, or use mode 'webasm'`,
      );
    }
  } else {
    throw new GpuUnavailableError(
      "no WebGPU: this browser has no navigator.gpu; use a current Chrome, Edge, Firefox or Safari over https or from localhost, or mode 'webgl2'",
    );
  }
  let adapter: GPUAdapter | null = null;
  try {
    adapter = await navigator.gpu.requestAdapter();
  } catch (error) {
    tried.push(`asking for an adapter failed: ${reason(error)}`);
  }
  if (adapter) return how;
  const install = inNode()
    ? 'install a Vulkan driver (on Debian: libvulkan1 and the driver of your GPU); for a software GPU install libegl1, libegl-mesa0 and libgl1-mesa-dri and set EGL_PLATFORM=surfaceless'
    : 'switch on hardware acceleration in the settings of the browser, or look at chrome://gpu for what blocks it';
  throw new GpuUnavailableError(
    `no WebGPU adapter (${[...tried, 'no adapter answered'].join('; ')}): ${install}; or use mode 'webasm'`,
  );
}

async function createDriver({ mode, loadWebgpu = importDawn }: GpuOptions): Promise<Driver> {
  if (mode === 'webgpu') {
    const how = await findWebgpu(loadWebgpu);
    return createWebgpuDriver(how);
  }
  if (mode === 'webasm') return createWebasmDriver();
  if (mode === 'webgl2') {
    if (typeof WebGL2RenderingContext === 'undefined') {
      throw new GpuUnavailableError(
        `no WebGL 2 ${inNode() ? 'in Node: it exists in browsers' : 'in this browser'}; use mode 'webgpu' or 'webasm'`,
      );
    }
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
