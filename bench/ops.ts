/**
 * @file GB/s of the kernels that are not products, beside a memory copy that moves as many bytes and the definition's plain loops in
 * JavaScript, in turns. `pnpm bench ops [--config M] [--only softmax] [--threads 2] [--seconds 0.3] [--json]`. Bytes: each operand and result
 * once for every time the algorithm must read or write it. With `--peers` the operations of the library instead, each beside that of jax-js
 * (`pnpm bench peers --install` once), microseconds a call.
 */
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { chapters } from '../packages/tensor/src/contract.ts';
import { CONFIG_FLAGS, chosenConfig } from './support/configurations.ts';
import { clockFor, flags, inTurns, median, patternOf, ratio, report, short, someOf, table } from './support/harness.ts';
import { call, constant, integers, type KernelCall, noise, prepared } from './support/kernel-call.ts';
import { besidePeers } from './support/peer-ops.ts';

const f = flags({ ...CONFIG_FLAGS, threads: 1, seconds: 0.3, only: '.', peers: false });
/** Rows and widths: of model S, unless another is asked for. */
const { config: c } = chosenConfig(f);
const [N, C, F, V] = [c.rows * c.rowBytes, c.local, c.hidden[0], 260];
const P = Math.round(N / 4.5);
const HASH_ROWS = 49152;
const READ_ROWS = 12000;
const within = (limit: number) => (i: number) => (Math.imul(i + 1, 0x9e3779b1) >>> 0) % limit;
const adamw = { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, step: 3 };
const M = 1 << 20;
/** 0 and 1, as conditions are. */
const signs = (shape: readonly number[]) => {
  const { data } = noise(shape);
  return { shape, data: data.map((v) => Number(v > 0)) };
};
const targets = integers(N, within(V));

/** Name, bytes that one call must move, the call; by chapter of the kernel contract. Products and attention have benchmarks of their own. */
const OPS: readonly (readonly [string, number, KernelCall])[] = [
  [`swiGlu ${N}x${F}`, 12 * N * F, call('swiGlu', [noise([N, F]), noise([N, F])], {})],
  [`swiGluBackward ${N}x${F}`, 20 * N * F, call('swiGluBackward', [noise([N, F]), noise([N, F]), noise([N, F])], {})],
  [`where ${N}x${C}`, 16 * N * C, call('where', [signs([N, C]), noise([N, C]), noise([N, C])], {})],
  [`where, a row of conditions, ${N}x${C}`, 12 * N * C, call('where', [signs([C]), noise([N, C]), noise([N, C])], {})],
  [`sin ${N}x${C}`, 8 * N * C, call('sin', [noise([N, C], 20)], {})],
  [`cos ${N}x${C}`, 8 * N * C, call('cos', [noise([N, C], 20)], {})],
  [`maximum ${N}x${C}`, 12 * N * C, call('maximum', [noise([N, C]), noise([N, C])], {})],
  [`max over columns ${N}x${C}`, 4 * N * C, call('max', [noise([N, C])], { axes: [1] })],
  [`max over rows ${N}x${C}`, 4 * N * C, call('max', [noise([N, C])], { axes: [0] })],
  [`max over two of four axes ${N}x${C}`, 4 * N * C, call('max', [noise([8, N / 8, 8, C / 8])], { axes: [1, 3] })],
  [`sum over two of four axes ${N}x${C}`, 4 * N * C, call('sum', [noise([8, N / 8, 8, C / 8])], { axes: [1, 3] })],
  [`add of three loops ${N}x${C}`, 4 * N * C, call('add', [noise([8, 1, C]), noise([1, N / 8, 1])], {})],
  [`pad (gradient of slice) ${N}x${C}`, 8 * N * C, call('pad', [noise([N, C])], { before: [1, 3], after: [2, 5] })],
  [`slice ${N}x${C}`, 8 * N * C, call('slice', [noise([N + 2, C + 8])], { begin: [1, 3], end: [N + 1, C + 3] })],
  [
    `transpose of four axes ${N}x${C}`,
    8 * N * C,
    call('transpose', [noise([8, N / 8, 8, C / 8])], { perm: [3, 1, 2, 0] }),
  ],
  [`add ${N}x${C}`, 12 * N * C, call('add', [noise([N, C]), noise([N, C])], {})],
  [`dropout ${N}x${C}`, 8 * N * C, call('dropout', [noise([N, C])], { rate: 0.1, seed: 1 })],
  [`sum over rows ${N}x${C}`, 4 * N * C, call('sum', [noise([N, C])], { axes: [0] })],
  [`variance of columns ${N}x${C}`, 4 * N * C, call('variance', [noise([N, C])], { correction: 1 })],
  [`sumSquares ${N}x${C}`, 4 * N * C, call('sumSquares', [noise([N, C])], {})],
  ['gatherRows 4096 of 260', 8 * N * C, call('gatherRows', [noise([V, C]), targets], {})],
  ['scatterAddRows 4096 to 260', 4 * (N + V) * C, call('scatterAddRows', [noise([N, C]), targets], { rows: V })],
  [
    'embeddingBag 4096x6 of 49152',
    28 * N * C,
    call('embeddingBag', [noise([HASH_ROWS, C]), integers(N * 6, within(HASH_ROWS), [N, 6])], {}),
  ],
  [
    'segmentGatherSum 24576 to 12000',
    4 * C * (6 * N + READ_ROWS),
    call(
      'segmentGatherSum',
      [noise([N, C]), integers(N * 6, within(N)), integers(READ_ROWS + 1, (u) => Math.round((u * N * 6) / READ_ROWS))],
      {},
    ),
  ],
  [
    'segmentMax 4096 to 900',
    4 * C * (N + P),
    call('segmentMax', [noise([N, C]), integers(P + 1, (p) => Math.round((p * N) / P))], {}),
  ],
  [`softmax ${N}x${V}`, 8 * N * V, call('softmax', [noise([N, V])], {})],
  [`softmax ${N}x512`, 8 * N * 512, call('softmax', [noise([N, 512])], {})],
  [`crossEntropy ${N}x${V}`, 4 * N * V, call('crossEntropy', [noise([N, V]), targets], {})],
  [`crossEntropyBackward ${N}x${V}`, 8 * N * V, call('crossEntropyBackward', [noise([N, V]), targets, noise([N])], {})],
  [`rmsNorm ${N}x${C}`, 8 * N * C, call('rmsNorm', [noise([N, C]), noise([C])], { eps: 1e-5 })],
  [`rmsNorm ${N}x512`, 8 * N * 512, call('rmsNorm', [noise([N, 512]), noise([512])], { eps: 1e-5 })],
  [
    `rmsNormBackward ${N}x${C}`,
    12 * N * C,
    call('rmsNormBackward', [noise([N, C]), noise([C]), noise([N, C])], { eps: 1e-5 }),
  ],
  [
    `rope ${N}x${C}`,
    8 * N * C,
    call('rope', [noise([N, C]), noise([512, 16]), noise([512, 16]), integers(N, (i) => i % 512)], {
      headDim: 32,
      inverse: false,
    }),
  ],
  ['adamw 1M', 28 * M, call('adamw', [noise([M]), noise([M]), constant([M], 0.1), noise([M]), constant([], 1)], adamw)],
  [
    'adamwRows 12000 of 49152',
    28 * READ_ROWS * C,
    call(
      'adamwRows',
      [
        noise([HASH_ROWS, C]),
        noise([HASH_ROWS, C]),
        constant([HASH_ROWS, C], 0.1),
        integers(READ_ROWS, (u) => u * 4),
        noise([READ_ROWS, C]),
        constant([], 1),
      ],
      adamw,
    ),
  ],
];

const { threads, seconds } = f;
const only = patternOf(f.only);
const backend = createWasmBackend({ threads });
await backend.threadsReady();
if (f.peers) {
  const { version, rows } = await besidePeers(backend, only, seconds, clockFor(threads));
  someOf(rows, only);
  report('ops', { backend: backend.description, threads, peer: `jax-js ${version}`, rows }, [
    `ops beside jax-js ${version}, ${backend.description}`,
    ...table([Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map(String))]),
  ]);
  process.exit(0);
}
const plain = createReferenceBackend();
const chapterOf = (kernel: string) => Object.entries(chapters).find(([, entries]) => kernel in entries)?.[0];
const rows = [];
for (const [name, bytes, kernelCall] of OPS) {
  const chapter = chapterOf(kernelCall.kernel);
  if (!only.test(`${chapter} ${name}`)) continue;
  const [ours, loops] = [prepared(kernelCall, backend), prepared(kernelCall, plain)];
  // Half of the bytes are read, half are written.
  const [from, to] = [new Float32Array(bytes / 8).fill(1), new Float32Array(bytes / 8)];
  const copy = () => to.set(from);
  const times = inTurns({ ours: ours.run, copy, loops: loops.run }, { seconds, clock: clockFor(threads) });
  const speed = (ms: readonly number[]) => short(bytes / median(ms) / 1e6);
  rows.push({
    chapter,
    op: name,
    bytes_per_s: Math.round((bytes / median(times.ours)) * 1000),
    gb_per_s: speed(times.ours),
    copy_gb_per_s: speed(times.copy),
    to_copy: short(ratio(times.copy, times.ours)),
    js_gb_per_s: speed(times.loops),
    to_js: short(ratio(times.loops, times.ours)),
    us: short(median(times.ours) * 1000),
  });
  ours.free();
  loops.free();
}
someOf(rows, only);
const keys = (Object.keys(rows[0]) as (keyof (typeof rows)[number])[]).filter((key) => key !== 'bytes_per_s');
report('ops', { backend: backend.description, threads, rows }, [
  `ops, ${backend.description}`,
  ...table([keys, ...rows.map((row) => keys.map((key) => String(row[key])))]),
]);
