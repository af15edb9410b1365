/** @file Choosing and compiling a build of the kernels. */
import { CONTROL, PACKED } from './arguments/layout.ts';
import { environment, nodeModule, nodeProcess } from './host.ts';
import { memoryFlags, packed, unpacker, type WasmExports } from './kernels.generated.ts';
import { whyNarrow } from './wide-vectors.ts';

export type { WasmExports };

/** An exported kernel. It does part `part` of `parts` of its work; its arguments are in the argument block. */
export type Kernel = (part: number, parts: number) => void;

/** A module whose function f(a, c) is a a + c by one instruction of relaxed SIMD, f32x4.relaxed_madd. */
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 125, 125, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 22, 1, 20, 0,
  32, 0, 253, 19, 32, 0, 253, 19, 32, 1, 253, 19, 253, 133, 2, 253, 31, 0, 11,
]);

/**
 * The module comes with two placeholder instructions, PRODUCT and SUM, in the place of each multiply-add. They are overwritten by
 * instructions of the same length, three bytes: see scripts/build-wasm.mjs.
 */
const [PRODUCT, SUM] = [0x92, 0x93];
const NOPS = [0x01, 0x01, 0x01];
const RELAXED_MADD = [0xfd, 0x85, 0x02];
const MUL = [0xfd, 0xe6, 0x01];
const ADD = [0xfd, 0xe4, 0x01];

/** The bytes behind a text in base 64. A plain loop, because `Uint8Array.from` takes ten times as long when it runs for the first time. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The bytes of the build with or without fused multiply-add. */
function binaryOf(fused: boolean): Uint8Array<ArrayBuffer> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytesOf(unpacker)));
  const { buffer } = exports.memory as WebAssembly.Memory;
  const input = bytesOf(packed);
  new Uint8Array(buffer).set(input, PACKED);
  const begin = (exports.unpack as (size: number) => number)(input.length);
  const bytes = new Uint8Array(buffer, begin, new DataView(buffer).getUint32(PACKED + 5, true) - 4);
  const [product, sum] = fused ? [NOPS, RELAXED_MADD] : [MUL, ADD];
  for (let i = 0; i + 2 < bytes.length; i++) {
    if (bytes[i] !== 0xfd || bytes[i + 2] !== 0x01) continue;
    if (bytes[i + 1] === PRODUCT) bytes.set(product, i);
    else if (bytes[i + 1] === SUM) bytes.set(sum, i);
  }
  return bytes;
}

/** Whether this engine runs relaxed SIMD; Node 20 is asked to switch it on first, unless BLT_NO_FMA=1. */
function hasRelaxedSimd(): boolean {
  if (WebAssembly.validate(RELAXED_PROBE)) return true;
  nodeModule<{ setFlagsFromString(flag: string): void }>('node:v8')?.setFlagsFromString(
    '--experimental-wasm-relaxed-simd',
  );
  return WebAssembly.validate(RELAXED_PROBE);
}

/** Whether relaxed_madd rounds once here. An engine may also round twice: JavaScriptCore does, and V8 on a processor without the instruction. */
function relaxedFuses(): boolean {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(RELAXED_PROBE));
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, which rounds to 1 + 2^-11.
  return (exports.f as (a: number, c: number) => number)(1 + 2 ** -12, -1 - 2 ** -11) !== 0;
}

/** The build to take, and why: with fused multiply-add where the engine has it. */
function arithmetic(deterministic: boolean): { fma: boolean; why: string } {
  const separately = (why: string) => ({ fma: false, why: `multiply and add rounded separately${why}` });
  if (deterministic) return separately(', the same bits on every machine');
  if (environment('BLT_NO_FMA') === '1') return separately(' (BLT_NO_FMA=1)');
  if (!hasRelaxedSimd()) return separately(' (this engine has no relaxed SIMD)');
  if (!relaxedFuses()) return separately(' (this engine has no fused multiply-add)');
  return { fma: true, why: 'fused multiply-add (relaxed SIMD)' };
}

/** Whether this engine joins pairs of 128-bit operations, once it is asked to; it is asked here. */
function joinsPairs(): { wide: boolean; why: string } {
  const not = (why: string) => ({ wide: false, why: `128-bit vectors (${why})` });
  const version = nodeProcess?.versions?.node;
  if (version === undefined) return { wide: false, why: '128-bit vectors' };
  const narrow = whyNarrow(version);
  if (narrow !== undefined) return not(narrow);
  const v8 = nodeModule<{ setFlagsFromString(flag: string): void }>('node:v8');
  if (!v8) return not('V8 cannot be asked for 256-bit ones here');
  v8.setFlagsFromString('--experimental-wasm-revectorize');
  return { wide: true, why: '256-bit vectors' };
}

/** A compiled module with its memory. */
export interface CompiledKernels {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly maximumPages: number;
  readonly shared: boolean;
  /** The memory, the address of the control block, whether to work in pairs of vectors, and whether multiply-adds round once. */
  readonly imports: { env: { memory: WebAssembly.Memory; control: number; wide: 0 | 1; fused: 0 | 1 } };
  /** Which build, and why. */
  readonly reason: string;
}

/**
 * Compiles the fma build where it runs, else (or if `deterministic`) the mul+add build, and makes its memory.
 * @param wide work in pairs of vectors: by default where the engine makes 256-bit ones of them. The bits do not depend on it.
 * @param pages what the memory may grow to
 */
export function compileKernels(deterministic: boolean, wide: boolean | undefined, pages: number): CompiledKernels {
  const { fma, why } = arithmetic(deterministic);
  const shared = typeof SharedArrayBuffer !== 'undefined';
  const binary = binaryOf(fma);
  // The same module with the import declared unshared: the flags of its memory are 3 (shared, with maximum) or 1.
  if (!shared) binary[memoryFlags] = 1;
  const vectors = wide === undefined ? joinsPairs() : { wide, why: wide ? 'pairs of vectors' : '128-bit vectors' };
  const where = shared ? 'shared memory' : 'unshared memory (no SharedArrayBuffer here)';
  const { memory, maximumPages } = createMemory(shared, pages);
  return {
    module: new WebAssembly.Module(binary),
    memory,
    maximumPages,
    shared,
    imports: { env: { memory, control: CONTROL, wide: vectors.wide ? 1 : 0, fused: fma ? 1 : 0 } },
    reason: `${why}; ${vectors.why}; ${where}`,
  };
}

/** A memory that may grow to so many pages, or to less where the engine cannot reserve that. */
function createMemory(shared: boolean, most: number): { memory: WebAssembly.Memory; maximumPages: number } {
  for (let maximum = most; ; maximum = Math.floor(maximum / 2)) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 64, maximum, shared }), maximumPages: maximum };
    } catch (error) {
      if (maximum <= 4096) throw error;
    }
  }
}
