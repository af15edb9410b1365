/** @file One call of a kernel with operands of its own, made on any backend. */
import {
  type Backend,
  type KernelAttrs,
  type KernelName,
  release,
  run,
  scope,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';

export type Values = { readonly shape: readonly number[]; readonly data: Float32Array | Int32Array };

/** Values in -scale/2 .. scale/2, the same every time. */
export function noise(shape: readonly number[], scale = 1): Values {
  const size = shape.reduce((n, d) => n * d, 1);
  return { shape, data: Float32Array.from({ length: size }, (_, i) => (((i * 40503) % 1024) / 1024 - 0.5) * scale) };
}

export const constant = (shape: readonly number[], value: number): Values => ({
  shape,
  data: new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(value),
});

export const integers = (length: number, at: (i: number) => number, shape: readonly number[] = [length]): Values => ({
  shape,
  data: Int32Array.from({ length }, (_, i) => at(i)),
});

export interface KernelCall<K extends KernelName = KernelName> {
  readonly kernel: K;
  readonly ins: readonly Values[];
  readonly attrs: KernelAttrs[K];
}

export const call = <K extends KernelName>(kernel: K, ins: readonly Values[], attrs: KernelAttrs[K]): KernelCall =>
  ({ kernel, ins, attrs }) as unknown as KernelCall;

/** The call as a function of no arguments, and what frees its operands. */
export function prepared({ kernel, ins, attrs }: KernelCall, backend: Backend): { run: () => void; free: () => void } {
  const operands: Tensor[] = ins.map(({ data, shape }) => tensor(data, shape, { backend }));
  return {
    run: () => scope(() => void run(kernel, operands, attrs as never)),
    free: () => operands.forEach((x) => void release(x)),
  };
}
