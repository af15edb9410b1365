/** @file Before a device is trusted: a few kernels whose wrong results would otherwise be silent, against the definition. */
import type { Backend, Operand } from '../backend.ts';
import { contract, type KernelAttrs, type KernelEntry, type KernelName, type Spec } from '../contract.ts';
import { referenceBackend } from '../reference/backend.ts';
import { type Shape, sizeOf } from '../shape.ts';

interface Sample<K extends KernelName = KernelName> {
  readonly kernel: K;
  readonly ins: readonly { readonly shape: Shape; readonly values: Float32Array | Int32Array }[];
  readonly attrs: KernelAttrs[K];
}

/** Numbers in [-1, 1) that repeat nothing. */
function floats(...shape: number[]): { shape: Shape; values: Float32Array } {
  return { shape, values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 0.618034 + 0.31) % 1) * 2 - 1) };
}

const whole = (...values: number[]) => ({ shape: [values.length], values: Int32Array.from(values) });

const sample = <K extends KernelName>(kernel: K, ins: Sample<K>['ins'], attrs: KernelAttrs[K]): Sample =>
  ({ kernel, ins, attrs }) as unknown as Sample;

const attention = { heads: 2, kvHeads: 1, scale: 0.5, pairs: 9 };

/** Loops over arguments, tiles, broadcasting, integers that wrap, ids, intervals, and a loop longer than gpu.js's own limit. */
const samples: readonly Sample[] = [
  sample('matmul', [floats(3, 7), floats(8, 7)], { transposeA: false, transposeB: true }),
  sample('matmul', [floats(5, 3), floats(5, 2)], { transposeA: true, transposeB: false }),
  sample('sum', [floats(1, 1500)], { axes: [1] }),
  sample('sum', [floats(40000)], { axes: [0] }),
  sample('add', [floats(3, 1, 4), floats(5, 1)], {}),
  sample('dropout', [floats(64)], { rate: 0.5, seed: 4_000_000_000 }),
  sample('gatherRows', [floats(6, 3), whole(5, 0, 3, 3)], {}),
  sample('softmax', [floats(3, 9)], {}),
  sample(
    'intervalAttention',
    [floats(4, 8), floats(5, 4), floats(5, 4), whole(0, 0, 2, 3), whole(1, 3, 5, 5)],
    attention,
  ),
];

async function compute(backend: Backend, { kernel, ins, attrs }: Sample): Promise<(Float32Array | Int32Array)[]> {
  const storages: Operand[] = [];
  const operand = ({ dtype, shape }: Spec, values?: ArrayLike<number>): Operand => {
    const storage = backend.allocate(dtype, sizeOf(shape));
    if (values) backend.write(storage, values);
    const made = { storage, dtype, shape };
    storages.push(made);
    return made;
  };
  const inputs = ins.map(({ shape, values }) =>
    operand({ dtype: values instanceof Int32Array ? 'i32' : 'f32', shape }, values),
  );
  const entry: KernelEntry<unknown> = contract[kernel];
  const outs = entry.outputs(inputs, attrs).map((spec) => operand(spec));
  try {
    backend.run(kernel, outs, inputs, attrs);
    return await Promise.all(outs.map((y) => backend.read(y.storage)));
  } finally {
    for (const { storage } of storages) backend.free(storage);
  }
}

/** @throws Error naming the first kernel that is off */
export async function selfTest(backend: Backend): Promise<void> {
  for (const s of samples) {
    const [got, want] = [await compute(backend, s), await compute(referenceBackend, s)];
    want.forEach((y, o) => {
      let worst = 0;
      // The sum of differences is NaN if one is, unlike their maximum.
      y.forEach((v, i) => {
        worst += Math.abs(v - got[o][i]);
      });
      if (!(worst < 1e-4)) throw new Error(`${s.kernel} is off by ${worst} in all`);
    });
  }
}
