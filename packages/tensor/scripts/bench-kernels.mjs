// Time of every hot kernel at the shapes of a small training step (local width 128, global 256, 4096 bytes, 900 patches), through
// the backend. node packages/tensor/scripts/bench-kernels.mjs [name filter] [threads]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const folder = await mkdtemp(join(tmpdir(), 'bench-'));
const outfile = join(folder, 'tensor.mjs');
await build({
  stdin: {
    contents: "export * from './index.ts'; export { createWasmBackend } from './wasm/backend.ts';",
    resolveDir: fileURLToPath(new URL('../src', import.meta.url)),
    loader: 'ts',
  },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  outfile,
});
const { createWasmBackend, run, scope, tensor } = await import(pathToFileURL(outfile));
await rm(folder, { recursive: true });

const filter = new RegExp(process.argv[2] ?? '.');
const backend = createWasmBackend({ threads: Number(process.argv[3] ?? 1), deterministic: process.env.DET === '1' });
await backend.threadsReady();
console.log(backend.description);
const random = (shape, scale = 1) =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (Math.random() - 0.5) * scale),
    shape,
    { backend },
  );
const ints = (values, shape = [values.length]) => tensor(Int32Array.from(values), shape, { backend });
const range = (n, f) => Array.from({ length: n }, (_, i) => f(i));

/** @param amount FLOPs or bytes of one call */
function bench(label, kernel, ins, attrs, amount, unit) {
  if (!filter.test(label)) return;
  const once = () =>
    scope(() => {
      run(kernel, ins, attrs);
    });
  for (let i = 0; i < 3; i++) once();
  // On one thread processor time, in which other programs' turns do not count; on more the best time of the clock.
  const clock = () => (backend.threads > 1 ? performance.now() : process.cpuUsage().user / 1000);
  const times = [];
  for (const begin = performance.now(); performance.now() - begin < 300 || times.length < 5; ) {
    const calls = Math.max(1, Math.min(1000, Math.ceil(1 / (times[0] ?? 1))));
    const start = clock();
    for (let i = 0; i < calls; i++) once();
    times.push((clock() - start) / calls);
  }
  times.sort((x, y) => x - y);
  const ms = backend.threads > 1 ? times[0] : times[times.length >> 1];
  console.log(
    `${label.padEnd(44)} ${(ms * 1000).toFixed(1).padStart(9)} us ${(amount / ms / 1e6).toFixed(1).padStart(7)} ${unit}`,
  );
}

const n = 4096,
  C = 128,
  P = 900;
bench('add [1] (overhead)', 'add', [random([1]), random([1])], {}, 12, 'GB/s');
bench(
  'matmul [4,4] (overhead)',
  'matmul',
  [random([4, 4]), random([4, 4])],
  { transposeA: false, transposeB: false },
  128,
  'GF',
);
for (const [name, ins, bytes] of [
  ['add', [random([n, C]), random([n, C])], 12],
  ['mul', [random([n, C]), random([C])], 8],
  ['exp', [random([n, C])], 8],
  ['sigmoid', [random([n, C])], 8],
  ['tanh', [random([n, C])], 8],
  ['log', [random([n, C])], 8],
  ['swiGlu', [random([n, 384]), random([n, 384])], 12 * 3],
  ['swiGluBackward', [random([n, 384]), random([n, 384]), random([n, 384])], 20 * 3],
])
  bench(`${name} 4096x128 or 384`, name, ins, {}, bytes * n * C, 'GB/s');
bench('dropout 4096x128', 'dropout', [random([n, C])], { rate: 0.1, seed: 1 }, 8 * n * C, 'GB/s');
bench('rmsNorm 4096x128', 'rmsNorm', [random([n, C]), random([C])], { eps: 1e-5 }, 8 * n * C, 'GB/s');
bench(
  'rmsNormBackward 4096x128',
  'rmsNormBackward',
  [random([n, C]), random([C]), random([n, C])],
  { eps: 1e-5 },
  12 * n * C,
  'GB/s',
);
bench(
  'rope 4096x128',
  'rope',
  [random([n, C]), random([512, 16]), random([512, 16]), ints(range(n, (i) => i % 512))],
  { headDim: 32, inverse: false },
  8 * n * C,
  'GB/s',
);
bench('softmax 4096x260', 'softmax', [random([n, 260])], {}, 8 * n * 260, 'GB/s');
const targets = ints(range(n, (i) => (i * 7) % 256));
bench('crossEntropy 4096x260', 'crossEntropy', [random([n, 260]), targets], {}, 4 * n * 260, 'GB/s');
bench(
  'crossEntropyBackward 4096x260',
  'crossEntropyBackward',
  [random([n, 260]), targets, random([n])],
  {},
  8 * n * 260,
  'GB/s',
);
const V = 49152;
const table = random([V, C]);
bench(
  'embeddingBag 4096x6 of 49152',
  'embeddingBag',
  [
    table,
    ints(
      range(n * 6, () => Math.floor(Math.random() * V)),
      [n, 6],
    ),
  ],
  {},
  4 * n * C * 7,
  'GB/s',
);
bench('gatherRows 4096 of 260', 'gatherRows', [random([260, C]), targets], {}, 8 * n * C, 'GB/s');
bench('scatterAddRows 4096 to 260', 'scatterAddRows', [random([n, C]), targets], { rows: 260 }, 8 * n * C, 'GB/s');
const U = 12000;
const entries = range(n * 6, () => Math.floor(Math.random() * n));
bench(
  'segmentGatherSum 24576 to 12000',
  'segmentGatherSum',
  [random([n, C]), ints(entries), ints(range(U + 1, (u) => Math.round((u * n * 6) / U)))],
  {},
  4 * C * (n * 6 + U),
  'GB/s',
);
const starts = ints(range(P + 1, (p) => Math.round((p * n) / P)));
const x = random([n, C]);
const y = run('segmentMax', [x, starts], {})[0];
bench('segmentMax 4096 to 900', 'segmentMax', [x, starts], {}, 4 * C * (n + P), 'GB/s');
bench(
  'segmentMaxBackward 4096 to 900',
  'segmentMaxBackward',
  [x, y, random([P, C]), starts],
  {},
  4 * C * (3 * n),
  'GB/s',
);
bench('sum rows 4096x128', 'sum', [x], { axes: [0] }, 4 * n * C, 'GB/s');
bench('sum last 4096x128', 'sum', [x], { axes: [1] }, 4 * n * C, 'GB/s');
bench('sumSquares 4096x128', 'sumSquares', [x], {}, 4 * n * C, 'GB/s');
bench('transpose 4096x128', 'transpose', [x], { perm: [1, 0] }, 8 * n * C, 'GB/s');
bench('slice 4096x128', 'slice', [x], { begin: [0, 32], end: [n, 96] }, 8 * n * 64, 'GB/s');
bench('concat 4096x128', 'concat', [x, x], { axis: 1 }, 8 * n * C * 2, 'GB/s');
const adam = { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, step: 3 };
bench(
  'adamw 1M',
  'adamw',
  [
    random([1 << 20]),
    random([1 << 20]),
    tensor(new Float32Array(1 << 20).fill(0.1), [1 << 20], { backend }),
    random([1 << 20]),
    random([]),
  ],
  adam,
  28 * 2 ** 20,
  'GB/s',
);
bench(
  'adamwRows 12000 of 49152',
  'adamwRows',
  [
    table,
    random([V, C]),
    tensor(new Float32Array(V * C).fill(0.1), [V, C], { backend }),
    ints(range(U, (u) => u * 4)),
    random([U, C]),
    random([]),
  ],
  adam,
  28 * U * C,
  'GB/s',
);

function attention(label, rows, keys, heads, D, lo, hi) {
  const pairs = lo.reduce((s, l, i) => s + Math.max(0, hi[i] - l), 0);
  const attrs = { heads, kvHeads: heads, scale: D ** -0.5, pairs };
  const ins = [random([rows, heads * D]), random([keys, heads * D]), random([keys, heads * D]), ints(lo), ints(hi)];
  bench(`attention ${label}`, 'intervalAttention', ins, attrs, 4 * pairs * heads * D, 'GF');
  const [out, lse] = run('intervalAttention', ins, attrs);
  bench(
    `attentionBackward ${label}`,
    'intervalAttentionBackward',
    [...ins, out, lse, random([rows, heads * D])],
    attrs,
    10 * pairs * heads * D,
    'GF',
  );
}
const documents = (size, count, window) => [
  range(size * count, (i) => Math.max(i - (i % size), i - window + 1)),
  range(size * count, (i) => i + 1),
];
attention('self 8 x 512 bytes', n, n, 4, 32, ...documents(512, 8, 512));
attention('self 1 x 4096 bytes, window 512', n, n, 4, 32, ...documents(4096, 1, 512));
attention('self 8 x 112 patches, D 32 H 8', 896, 896, 8, 32, ...documents(112, 8, 1e9));
attention('self 4 x 1024, D 64 H 4', n, n, 4, 64, ...documents(1024, 4, 1024));
const bytesOf = (p) => Math.round((p * n) / P);
attention(
  'encoder cross 1800 x 4096',
  2 * P,
  n,
  4,
  32,
  range(2 * P, (r) => bytesOf(r >> 1)),
  range(2 * P, (r) => bytesOf((r >> 1) + 1)),
);
const patchOf = new Int32Array(n);
for (let p = 0; p < P; p++) patchOf.fill(p, bytesOf(p), bytesOf(p + 1));
attention(
  'decoder cross 4096 x 1800',
  n,
  2 * P,
  4,
  32,
  range(n, (i) => 2 * patchOf[i]),
  range(n, (i) => 2 * patchOf[i] + 2),
);
attention('decode 1 x 512', 1, 512, 4, 32, [0], [512]);
