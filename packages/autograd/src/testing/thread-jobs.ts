/** @file Kernel calls that threads share the work of: for tests that the bits do not depend on them, in Node and in browsers. */
import { createWasmBackend, type KernelAttrs, type KernelName } from '@blt-ts/tensor';
import { integers, noise, type RawArray, runOn } from './noise.ts';

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const positive = (x: RawArray): RawArray => ({ data: Float32Array.from(x.data, Math.abs), shape: x.shape });
const adam = { lr: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, step: 3 };

/** A call of a kernel, with a name. */
export type Job = readonly [name: string, kernel: KernelName, ins: RawArray[], attrs: KernelAttrs[KernelName]];

const [n, C, V] = [1031, 67, 130];
const tableIds = () => integers(range(n).map((i) => (i * 7919) % V));
const segments = () => integers(range(V + 1).map((p) => Math.floor((p * n) / V)));

function attentionJobs(): Job[] {
  return [100, 270].flatMap((window): Job[] => {
    const lo = integers(range(n).map((i) => Math.max(i - (i % 300), i + 1 - window)));
    const ins = [noise(n, 64), noise(n, 32), noise(n, 32), lo, integers(range(n).map((i) => i + 1))];
    const attrs = { heads: 4, kvHeads: 2, scale: 0.25, pairs: 100_000 };
    const [out, lse] = runOn(createWasmBackend(), 'intervalAttention', ins, attrs);
    const kept = [
      { data: out, shape: [n, 64] },
      { data: lse, shape: [n, 4] },
    ];
    return [
      [`attention, window ${window}`, 'intervalAttention', ins, attrs],
      [`attention backward, window ${window}`, 'intervalAttentionBackward', [...ins, ...kept, noise(n, 64)], attrs],
    ];
  });
}

function productJobs(): Job[] {
  const m = (transposeA: boolean, transposeB: boolean) => ({ transposeA, transposeB });
  return [
    ['rows of a product', 'matmul', [noise(n, 70), noise(50, 70)], m(false, true)],
    ['columns of a product', 'matmul', [noise(30, 70), noise(70, n)], m(false, false)],
    ['products with a long sum', 'matmul', [noise(n, 30), noise(n, 45)], m(true, false)],
    ['a row times a matrix', 'matmul', [noise(1, 300), noise(n, 300)], m(false, true)],
    ['a row times a matrix by rows', 'matmul', [noise(1, 301), noise(301, n)], m(false, false)],
    ['six rows times a matrix by rows', 'matmul', [noise(6, 301), noise(301, n)], m(false, false)],
    ['six rows times a narrow matrix by rows', 'matmul', [noise(6, 301), noise(301, 123)], m(false, false)],
    ['six rows times one not quite as narrow', 'matmul', [noise(6, 301), noise(301, 210)], m(false, false)],
    ['three rows times a matrix', 'matmul', [noise(3, 300), noise(300, n)], m(false, false)],
    ['seven rows times a matrix', 'matmul', [noise(7, 300), noise(n, 300)], m(false, true)],
    ['many small products', 'matmul', [noise(41, 20, 30), noise(41, 30, 11)], m(false, false)],
    ['two large products', 'matmul', [noise(2, 90, 80), noise(2, 80, 70)], m(false, false)],
  ];
}

function arrayJobs(): Job[] {
  const x = noise(n, C);
  const big = noise(n * C);
  return [
    ['same shapes', 'add', [big, noise(n * C)], {}],
    ['rows', 'mul', [x, noise(C)], {}],
    ['columns', 'div', [noise(n, 1), x], {}],
    ['one input', 'tanh', [big], {}],
    ['dropout', 'dropout', [big], { rate: 0.3, seed: 7 }],
    ['sum of all', 'sum', [big], { axes: [0] }],
    ['sum over rows', 'sum', [x], { axes: [0] }],
    ['sum over columns', 'sum', [x], { axes: [1] }],
    ['sum of squares', 'sumSquares', [big], {}],
    ['variance', 'variance', [x], { correction: 1 }],
    ['transpose', 'transpose', [x], { perm: [1, 0] }],
    ['slice', 'slice', [x], { begin: [3, 2], end: [1000, 60] }],
    ['concat', 'concat', [x, noise(n, 9)], { axis: 1 }],
  ];
}

function rowJobs(): Job[] {
  const [x, ids, starts] = [noise(n, C), tableIds(), segments()];
  return [
    ['gather', 'gatherRows', [noise(V, C), ids], {}],
    ['scatter', 'scatterAddRows', [x, ids], { rows: V }],
    [
      'bag',
      'embeddingBag',
      [
        noise(V, C),
        integers(
          range(n * 3).map((i) => ((i * 31) % (V + 1)) - 1),
          [n, 3],
        ),
      ],
      {},
    ],
    ['segment sum', 'segmentGatherSum', [noise(V, C), ids, starts], {}],
    ['segment maximum', 'segmentMax', [x, starts], {}],
    ['segment maximum backward', 'segmentMaxBackward', [x, noise(V, C), noise(V, C), starts], {}],
  ];
}

function normJobs(): Job[] {
  const [x, ids] = [noise(n, C), tableIds()];
  return [
    ['softmax', 'softmax', [x], {}],
    ['logSoftmax', 'logSoftmax', [x], {}],
    ['cross-entropy', 'crossEntropy', [noise(n, V), ids], {}],
    ['cross-entropy backward', 'crossEntropyBackward', [noise(n, V), ids, noise(n)], {}],
    ['rmsNorm', 'rmsNorm', [x, noise(C)], { eps: 1e-5 }],
    ['rmsNorm backward', 'rmsNormBackward', [x, noise(C), noise(n, C)], { eps: 1e-5 }],
    ['rope', 'rope', [noise(n, 60), noise(V, 10), noise(V, 10), ids], { headDim: 20, inverse: true }],
    ['swiGlu', 'swiGlu', [x, noise(n, C)], {}],
    ['swiGlu backward', 'swiGluBackward', [x, noise(n, C), noise(n, C)], {}],
  ];
}

function optimizerJobs(): Job[] {
  const big = noise(n * C);
  const rows = integers(range(V).map((u) => u * 7));
  return [
    ['adamw', 'adamw', [big, noise(n * C), positive(noise(n * C)), noise(n * C), noise()], adam],
    [
      'adamw on rows',
      'adamwRows',
      [noise(n, 257), noise(n, 257), positive(noise(n, 257)), rows, noise(V, 257), noise()],
      adam,
    ],
    [
      'missed updates of rows',
      'adamwCatchUp',
      [noise(n, 257), noise(n, 257), positive(noise(n, 257)), rows, positive(noise(V, 5))],
      {},
    ],
    ['lerp', 'lerp', [big, noise(n * C)], { weight: 0.3 }],
  ];
}

/** Kernel calls large enough to be shared between threads, with sizes that divide evenly by nothing. */
export const jobs = (): Job[] => [
  ...productJobs(),
  ...arrayJobs(),
  ...rowJobs(),
  ...normJobs(),
  ...attentionJobs(),
  ...optimizerJobs(),
];
