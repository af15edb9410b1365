/**
 * @file gpu.js as this backend uses it: one way to create a kernel, and the parts of its objects that its own types leave out.
 */
import { GPU } from 'gpu.js';
import { argumentsOf, type Dialect, functionsOf, type KernelSource, sourceOf } from '../kernel-source.ts';

/** Where kernels run. `webasm` is WebAssembly on the CPU: the same kernels without a GPU. */
export type GpuMode = 'webgpu' | 'webgl2' | 'webasm';

/** A buffer of the device; a Float32Array with `webasm`. */
export interface DeviceBuffer {
  output: number[];
  componentCount?: number;
  delete(): void;
  clone(): DeviceBuffer;
  toArray(): unknown;
}

/** A kernel that gpu.js has compiled. It is called with its arguments. */
export interface CompiledKernel {
  (...args: unknown[]): unknown;
  setOutput(output: number[]): void;
  readonly kernel: {
    readonly constructor: { readonly mode: string };
    readonly fallbackReason: string | null;
  };
  destroy(): void;
}

/** The part of gpu.js that is used here. */
export interface Compiler {
  createKernel(source: string, settings: object): CompiledKernel;
  destroy(): Promise<void>;
}

/** @throws Error if this runtime cannot have that mode at all */
export const createCompiler = (mode: GpuMode): Compiler => new GPU({ mode }) as unknown as Compiler;

const argumentType = {
  webgpu: { array: 'Array', integer: 'Integer', float: 'Float' },
  webasm: { array: 'Array', integer: 'Integer', float: 'Float' },
  webgl2: { array: 'ArrayTexture(1)', integer: 'Integer', float: 'Float' },
};

export const dialectOf = (mode: GpuMode): Dialect => (mode === 'webgl2' ? 'glsl' : 'bitwise');

/**
 * Compiles nothing yet: gpu.js does that at the first call.
 * @param sizes fixed with `webasm`, where every size is part of the code; elsewhere one kernel serves all
 */
export function createKernel(compiler: Compiler, mode: GpuMode, k: KernelSource, output: number[]): CompiledKernel {
  const varies = mode !== 'webasm';
  const dialect = dialectOf(mode);
  return compiler.createKernel(sourceOf(k, dialect), {
    argumentTypes: Object.fromEntries(argumentsOf(k).map(({ name, kind }) => [name, argumentType[mode][kind]])),
    functions: functionsOf(k, dialect),
    output,
    dynamicOutput: varies,
    dynamicArguments: varies,
    pipeline: true,
    // Every call has a result of its own; without this the next call would overwrite it.
    immutable: true,
    precision: 'single',
    // WebGL: otherwise numbers get as few bits as the size of the texture seems to need, which changes with the size.
    tactic: 'precision',
    // The default of 1000 cuts longer loops short without a word.
    loopMaxIterations: 2 ** 30,
  });
}

/** @throws Error if gpu.js took another way than the one asked for (it falls back to plain JavaScript with a mere warning) */
export function assertMode(compiled: CompiledKernel, mode: GpuMode, name: string): void {
  const { fallbackReason } = compiled.kernel;
  const found = compiled.kernel.constructor.mode;
  const real = mode === 'webgl2' ? 'gpu' : mode;
  if (found !== real || fallbackReason) {
    throw new Error(
      `gpu.js runs kernel ${name} as '${found}' instead of '${real}'${fallbackReason ? `: ${fallbackReason}` : ''}`,
    );
  }
}
