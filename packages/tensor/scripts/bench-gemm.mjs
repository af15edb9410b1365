// GFLOP/s of the wasm matrix product at the shapes of a training step, beside what the same build does on registers alone
// (the ceiling), measured in turns in the same minute. node packages/tensor/scripts/bench-gemm.mjs [fma|mulAdd] [seconds]
import { readFile } from 'node:fs/promises';
import v8 from 'node:v8';

v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
const build = process.argv[2] ?? 'fma';
const budget = Number(process.argv[3] ?? 0.3);
const generated = await readFile(new URL('../src/wasm/kernels.generated.ts', import.meta.url), 'utf8');
const base64 = generated.match(new RegExp(`${build}: .*base64: '([^']*)'`))[1];
const memory = new WebAssembly.Memory({ initial: 2000, maximum: 65536, shared: true });
const { exports: wasm } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), {
  env: { memory, wide: process.argv[4] ? 1 : 0 },
});
wasm.setScratch(65536);
const args = new Int32Array(memory.buffer, 1024, 65);
const f32 = new Float32Array(memory.buffer);
for (let i = 1 << 20; i < f32.length; i++) f32[i] = ((i * 2654435761) % 1024) / 1024 - 0.5;

const A = 4 << 20;
const B = A + (32 << 20);
const C = B + (32 << 20);
// Milliseconds of processor time: what other programs take in between does not count.
const time = (f, calls) => {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; i++) f();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / calls;
};
const ceiling = () => (96 * 200_000) / time(() => wasm.ceiling(200_000, C), 1) / 1e6;

const shapes = [];
for (const [m, n, k] of [
  [512, 512, 512],
  [1024, 1024, 1024],
  [4096, 128, 128],
  [4096, 384, 128],
  [4096, 128, 384],
  [4096, 260, 128],
  [900, 256, 256],
  [900, 768, 256],
  [900, 256, 768],
  [4096, 256, 256],
  [4096, 1024, 256],
])
  shapes.push([m, n, k, 'NT'], [m, k, n, 'NN'], [n, k, m, 'TN']);
for (const n of [1, 2, 4, 8, 16]) shapes.push([n, 2048, 512, 'NN'], [n, 2048, 512, 'NT']);
console.log(`${build}: M x N x K, GFLOP/s, ceiling, ratio`);
for (const [M, N, K, form] of shapes) {
  const [am, ak] = form[0] === 'T' ? [4, M * 4] : [K * 4, 4];
  const [bk, bn] = form[1] === 'T' ? [4, K * 4] : [N * 4, 4];
  args.set([A, B, C, M, N, K, am, ak, bk, bn, N * 4, 0, 1, 0, 0, 0]);
  const call = () => {
    // The counter from which threads take pieces.
    args[64] = 0;
    wasm.matmul(0, 1);
  };
  const flops = 2 * M * N * K;
  const calls = Math.max(1, Math.round(2e7 / flops));
  time(call, calls);
  const speeds = [];
  const tops = [];
  for (const start = performance.now(); performance.now() - start < budget * 1000 || speeds.length < 3; ) {
    speeds.push(flops / time(call, calls) / 1e6);
    tops.push(ceiling());
  }
  const median = (x) => x.sort((p, q) => p - q)[x.length >> 1];
  const [speed, top] = [median(speeds), median(tops)];
  console.log(
    `${`${M}x${N}x${K}`.padEnd(15)} ${form} ${speed.toFixed(1).padStart(6)} ${top.toFixed(1).padStart(6)}  ${((speed / top) * 100).toFixed(0)}%`,
  );
}
