/**
 * @file Matrix product, rung 6: vectors. The kernel is 6-vectors.as.ts, which is compiled here to WebAssembly. This side copies the
 * matrices into its memory, with B in panels of 8 columns, and the result out of it.
 */
import { readFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

interface Kernel {
  readonly memory: WebAssembly.Memory;
  product(M: number, N: number, K: number, a: number, panels: number, c: number): void;
}

/** @throws Error with the words of the compiler */
async function compiled(): Promise<Kernel> {
  const source = readFileSync('examples/kernels/matmul/6-vectors.as.ts', 'utf8');
  const { binary, error, stderr } = await asc.compileString(source, {
    optimizeLevel: 3,
    runtime: 'stub',
    enable: ['simd'],
  });
  if (error || !binary) throw new Error(`6-vectors.as.ts: ${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(new Uint8Array(binary));
  return instance.exports as unknown as Kernel;
}
const kernel = await compiled();

/** Where the matrices begin, in bytes. */
const BEGIN = 65536;

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function vectors(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  // Rows and columns are filled up to whole tiles.
  const [rows, columns] = [4 * Math.ceil(M / 4), 8 * Math.ceil(N / 8)];
  const floats = rows * K + K * columns + rows * columns;
  const missing = BEGIN + 4 * floats - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / 65536));
  const memory = new Float32Array(kernel.memory.buffer, BEGIN, floats);
  memory.set(a);
  const [panels, result] = [rows * K, rows * K + K * columns];
  for (let l = 0; l < K; l++) {
    for (let j = 0; j < N; j++) memory[panels + (j >> 3) * K * 8 + l * 8 + (j & 7)] = b[l * N + j];
  }
  kernel.product(rows, columns, K, BEGIN, BEGIN + 4 * panels, BEGIN + 4 * result);
  for (let i = 0; i < M; i++) c.set(memory.subarray(result + i * columns, result + i * columns + N), i * N);
}
