/** @file A small fixed set of kernel calls, compared with the definition in 64 bits: does this machine compute right? */
import {
  type Backend,
  createReferenceBackend,
  type KernelAttrs,
  type KernelName,
  run,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';

type Values = { readonly shape: readonly number[]; readonly values: Float32Array | Int32Array };

interface Sample<K extends KernelName = KernelName> {
  readonly kernel: K;
  readonly ins: readonly Values[];
  readonly attrs: KernelAttrs[K];
}

/** Numbers in [-1, 1) that repeat nothing; another `salt`, other numbers. */
function floats(shape: readonly number[], salt = 0): Values {
  const size = shape.reduce((a, b) => a * b, 1);
  return {
    shape,
    values: Float32Array.from({ length: size }, (_, i) => ((i * 0.618034 + 0.31 + salt * 0.17) % 1) * 2 - 1),
  };
}
const positive = (shape: readonly number[]): Values => ({
  shape,
  values: floats(shape).values.map((x) => x * x + 0.1),
});
const whole = (...values: number[]): Values => ({ shape: [values.length], values: Int32Array.from(values) });
const sample = <K extends KernelName>(kernel: K, ins: readonly Values[], attrs: KernelAttrs[K]): Sample =>
  ({ kernel, ins, attrs }) as unknown as Sample;

const lo = whole(0, 0, 1, 2, 2, 5);
const hi = whole(1, 2, 3, 4, 6, 6);
const attention = { heads: 2, kvHeads: 1, scale: 0.5, pairs: 14 };
const adamw = { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, step: 3 };

/** Every kind of kernel that a training step uses, at sizes that leave ragged ends. */
const SAMPLES: readonly Sample[] = [
  sample('matmul', [floats([65, 131]), floats([37, 131], 1)], { transposeA: false, transposeB: true }),
  sample('matmul', [floats([131, 33]), floats([131, 70], 1)], { transposeA: true, transposeB: false }),
  sample('matmul', [floats([3, 257]), floats([257, 66], 1)], { transposeA: false, transposeB: false }),
  sample('add', [floats([7, 1, 9]), floats([5, 1], 1)], {}),
  sample('mul', [floats([301]), floats([301], 1)], {}),
  sample('div', [floats([301]), positive([301])], {}),
  sample('exp', [floats([301])], {}),
  sample('log', [positive([301])], {}),
  sample('sqrt', [positive([301])], {}),
  sample('tanh', [floats([301])], {}),
  sample('sum', [floats([33, 129])], { axes: [1] }),
  sample('sum', [floats([33, 129])], { axes: [0] }),
  sample('softmax', [floats([9, 261])], {}),
  sample('logSoftmax', [floats([9, 261])], {}),
  sample('crossEntropy', [floats([5, 261]), whole(0, 260, 7, 100, 3)], {}),
  sample('rmsNorm', [floats([9, 70]), floats([70], 1)], { eps: 1e-5 }),
  sample('rmsNormBackward', [floats([9, 70]), floats([70], 1), floats([9, 70], 2)], { eps: 1e-5 }),
  sample('rope', [floats([6, 16]), floats([8, 4]), floats([8, 4], 1), whole(0, 1, 2, 3, 7, 7)], {
    headDim: 8,
    inverse: false,
  }),
  sample('swiGlu', [floats([9, 70]), floats([9, 70], 1)], {}),
  sample('swiGluBackward', [floats([9, 70]), floats([9, 70], 1), floats([9, 70], 2)], {}),
  sample('gatherRows', [floats([11, 33]), whole(10, 0, 3, 3)], {}),
  sample('scatterAddRows', [floats([4, 33]), whole(5, 0, 5, 2)], { rows: 7 }),
  sample('dropout', [floats([333])], { rate: 0.3, seed: 4_000_000_000 }),
  sample('intervalAttention', [floats([6, 32]), floats([6, 16], 1), floats([6, 16], 2), lo, hi], attention),
  sample(
    'adamw',
    [floats([77]), floats([77], 1), positive([77]), floats([77], 2), { shape: [], values: Float32Array.of(0.5) }],
    adamw,
  ),
];

export interface BatteryResult {
  readonly calls: number;
  /** Largest |got - expected| / max |expected| of a call, and its kernel. */
  readonly worst: { readonly kernel: KernelName; readonly error: number };
  /** Kernels off by more than the bound, or that threw. */
  readonly failures: readonly string[];
}

/** 32-bit sums of a few hundred terms stay well below this. */
const BOUND = 1e-5;

async function outcome({ kernel, ins, attrs }: Sample, backend: Backend): Promise<ArrayLike<number>[]> {
  const tensors = ins.map(({ shape, values }) => tensor(values, shape, { backend }));
  const outs: Tensor[] = run(kernel, tensors, attrs);
  // An in-place kernel shows in its first input.
  return Promise.all((outs.length > 0 ? outs : [tensors[0]]).map((y) => y.read()));
}

/** Runs all samples. Values of gpu devices are waited for. */
export async function runBattery(backend: Backend): Promise<BatteryResult> {
  const definition = createReferenceBackend({ precision: 'f64' });
  let worst: BatteryResult['worst'] = { kernel: 'matmul', error: 0 };
  const failures: string[] = [];
  for (const one of SAMPLES) {
    try {
      const expected = await outcome(one, definition);
      const got = await outcome(one, backend);
      let scale = 1e-30;
      let off = 0;
      expected.forEach((values, o) => {
        for (let i = 0; i < values.length; i++) {
          scale = Math.max(scale, Math.abs(values[i]));
          const difference = Math.abs(got[o][i] - values[i]);
          off = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(off, difference);
        }
      });
      const error = off / scale;
      if (error > worst.error) worst = { kernel: one.kernel, error };
      if (!(error <= BOUND)) failures.push(`${one.kernel} is off by ${error.toExponential(1)}`);
    } catch (error) {
      failures.push(`${one.kernel}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { calls: SAMPLES.length, worst, failures };
}
