/** @file Which backend computes, and why: chosen openly, and tested before it is trusted. */
import { existsSync, readdirSync } from 'node:fs';
import {
  availableThreads,
  type Backend,
  createReferenceBackend,
  createWasmBackend,
  release,
  run,
  scope,
  setDefaultBackend,
  tensor,
} from '@blt-ts/tensor';
import type { GpuBackend, GpuMode } from '@blt-ts/tensor/gpu';
import { errorCode, outOfMemory, UserError } from '../terminal/errors.ts';
import { note } from '../terminal/output.ts';
import type { BackendName } from './backend-names.ts';

/** The wishes that a backend is chosen by. */
export interface BackendOptions {
  /** auto: a hardware GPU if one answers, else wasm where it starts, else reference. */
  readonly backend?: BackendName;
  /** CPU threads of the wasm backend (default: all cores). The bits do not depend on it. */
  readonly threads?: number;
  /** Why only a backend whose values can be read at once will do, as the beginning of a sentence; undefined: any will. */
  readonly needsCpu?: string;
}

/** The machine as the choice sees it. Tests put another in its place. */
export interface Machine {
  /** Why there can be no GPU, or null if there may be one. It decides whether `auto` loads the GPU half at all. */
  noGpu(): string | null;
  /** The module `@blt-ts/tensor/gpu`, which brings gpu.js and, for WebGPU, the optional package webgpu. */
  loadGpu(): Promise<Pick<typeof import('@blt-ts/tensor/gpu'), 'createGpuBackend'>>;
  createWasm(options: { threads: number }): Backend;
}

/** Linux lists its GPUs under /dev; Dawn looking for one that is not there takes a while and complains on the terminal. */
function noGpuDevice(): string | null {
  if (process.platform !== 'linux') return null;
  // A container may have been given any of several GPUs, but always the control device.
  if (existsSync('/dev/nvidiactl') || existsSync('/dev/dxg')) return null;
  try {
    if (readdirSync('/dev/dri').some((name) => name.startsWith('renderD'))) return null;
  } catch {
    // No /dev/dri: as good as an empty one.
  }
  return 'this machine has no GPU (neither /dev/dri/renderD*, /dev/nvidiactl nor /dev/dxg)';
}

async function loadGpuModule(): Promise<typeof import('@blt-ts/tensor/gpu')> {
  try {
    return await import('@blt-ts/tensor/gpu');
  } catch (error) {
    if (errorCode(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(
      `gpu.js or @blt-ts/tensor/gpu is missing (${reason(error)}); install them beside blt: npm install -g @blt-ts/tensor gpu.js webgpu (in a clone: pnpm install && pnpm build)`,
    );
  }
}

export const thisMachine: Machine = { noGpu: noGpuDevice, loadGpu: loadGpuModule, createWasm: createWasmBackend };

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0];

/** "mode 'webgpu' or 'webasm'", as the library says, in the words of the command line. */
const inFlags = (_: string, modes: string): string => `--backend ${modes.replaceAll("'", '')}`;

/** A backend on a device, asked for by name. @throws Error in the words of the command line, saying what was tried */
export async function openDevice(mode: GpuMode, machine: Machine = thisMachine): Promise<GpuBackend> {
  try {
    const { createGpuBackend } = await machine.loadGpu();
    return await createGpuBackend({ mode });
  } catch (error) {
    throw new Error(reason(error).replace(/\bmode ('\w+'(?: or '\w+')?)/g, inFlags), { cause: error });
  }
}

/** The backend that was chosen, and why. */
export interface Choice {
  readonly backend: Backend;
  /** One line for people: name, what it runs on, and why it was chosen. */
  readonly why: string;
  /** The same in a few words: the name, and why it is none of the fast ones. */
  readonly short: string;
}

/**
 * The backend to use, made the default for new tensors.
 * @throws UserError if the one asked for is not there or does not start
 */
export async function chooseBackend(
  { backend = 'auto', threads = availableThreads(), needsCpu }: BackendOptions,
  machine: Machine = thisMachine,
): Promise<Choice> {
  const use = (chosen: Backend, because: string, slowly?: string): Choice => {
    setDefaultBackend(chosen);
    const short = slowly === undefined ? chosen.name : `${chosen.name}, which is slow: ${slowly}`;
    return { backend: chosen, why: `${chosen.name} (${chosen.description}); ${because}`, short };
  };
  switch (backend) {
    case 'reference':
      return use(createReferenceBackend(), 'as asked');
    case 'wasm':
      try {
        return use(machine.createWasm({ threads }), 'as asked');
      } catch (error) {
        const why = outOfMemory(error) ?? `${reason(error)}; use --backend reference`;
        throw new UserError(`the wasm backend does not start: ${why}`, 1, { cause: error });
      }
    case 'auto': {
      const found = needsCpu ? `${needsCpu}, which no GPU allows` : await findHardware(machine);
      if (typeof found !== 'string') return use(found, 'chosen because this GPU answers and has passed its self-test');
      try {
        return use(machine.createWasm({ threads }), `chosen because ${found}`);
      } catch (error) {
        const failed = `wasm does not start (${reason(error)})`;
        return use(createReferenceBackend(), `chosen because ${failed} and ${found}`, failed);
      }
    }
    default: {
      if (needsCpu) throw new UserError(`${needsCpu}, which ${backend} does not allow; use --backend wasm`, 2);
      try {
        return use(await openDevice(backend, machine), 'as asked');
      } catch (error) {
        throw new UserError(`--backend ${backend}: ${reason(error)}`, 1, { cause: error });
      }
    }
  }
}

/** A GPU that is one, or why there is none. */
async function findHardware(machine: Machine): Promise<GpuBackend | string> {
  const none = machine.noGpu();
  if (none) return none;
  let gpu: GpuBackend;
  try {
    gpu = await openDevice('webgpu', machine);
  } catch (error) {
    return `there is ${reason(error)}`.replace(/^there is (?!no\b)/, 'WebGPU does not start: ');
  }
  if (!gpu.software) return gpu;
  await gpu.destroy();
  return `the only GPU is software (${gpu.description}), slower than wasm`;
}

/** One short line on standard error, for commands whose output is text or JSON for others. Why it was chosen: `blt doctor`. */
export const announce = ({ short }: Choice): void => note(`backend: ${short}`);

/** GFLOP/s of a matrix product of a training step's size, measured now: what estimates are made from. */
export async function measureGflops(backend: Backend): Promise<number> {
  const [M, K, N] = backend.name === 'reference' ? [64, 64, 64] : [1024, 128, 384];
  const a = tensor(new Float32Array(M * K).fill(0.5), [M, K], { backend });
  const b = tensor(new Float32Array(N * K).fill(0.5), [N, K], { backend });
  /** Milliseconds of so many products, the last of which is looked at: a device has then done them all. */
  const time = async (rounds: number): Promise<number> => {
    const start = performance.now();
    const { value } = scope(() => {
      let y = a;
      for (let i = 0; i < rounds; i++) [y] = run('matmul', [a, b], { transposeA: false, transposeB: true });
      return { value: run('slice', [y], { begin: [0, 0], end: [1, 1] })[0].read() };
    });
    await value;
    return performance.now() - start;
  };
  try {
    await time(3);
    for (let rounds = 1; ; rounds *= 2) {
      const ms = await time(rounds);
      if (ms > 60) return (2 * M * K * N * rounds) / (ms * 1e6);
    }
  } finally {
    release(a);
    release(b);
  }
}
