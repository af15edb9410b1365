/** @file Arrays for tests of large calls: reproducible, of ordinary size, as large as needed. */
import { type Backend, counterUniform, type KernelAttrs, type KernelName, run, scope, tensor } from '@blt-ts/tensor';

/** The values of a tensor, and its shape. */
export interface RawArray {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

let stream = 0;

/** From here on `noise` gives what it gave at first. */
export function restartNoise(): void {
  stream = 0;
}

/** Numbers in [-1, 1), different at each call. */
export function noise(...shape: number[]): RawArray {
  stream++;
  return { data: Float32Array.from({ length: product(shape) }, (_, i) => 2 * counterUniform(stream, i) - 1), shape };
}

/** Whole numbers as an i32 array of a shape, [n] unless given. */
export const integers = (values: ArrayLike<number>, shape: readonly number[] = [values.length]): RawArray => ({
  data: Int32Array.from(values),
  shape,
});

/** The outputs of a kernel on a backend, or the inputs after it if it works in place. */
export function runOn<K extends KernelName>(
  backend: Backend,
  kernel: K,
  ins: readonly RawArray[],
  attrs: KernelAttrs[K],
) {
  return scope(() => {
    const tensors = ins.map((x) => tensor(x.data, x.shape, { backend }));
    const outs = run(kernel, tensors, attrs);
    return (outs.length > 0 ? outs : tensors).map((x) => x.readSync());
  });
}
