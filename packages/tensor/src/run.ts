/** @file Running kernels of the contract on tensors: `run`, and the tensors that a kernel fills. */
import { checkOutputs, watchesKernels } from './anomaly.ts';
import { checkIndices, contract, type KernelAttrs, type KernelEntry, type KernelName, noteRange } from './contract.ts';
import { recordFlops } from './ledger.ts';
import { mayAlias, release } from './memory.ts';
import { checkShape, formatShape, type Shape, sizeOf } from './shape.ts';
import { checkTensor, checkTensorOptions, lifetimes, notNumber, Tensor, type TensorOptions, tensor } from './tensor.ts';

/**
 * Runs one kernel of the contract: checks dtypes, shapes and backends, allocates the outputs, counts the FLOPs.
 * Gradients are not recorded here; the differentiable operations are in @blt-ts/autograd.
 * @throws ShapeError, TypeError, RangeError for an id, position or bound that is out of range, or Error when inputs live on different
 *   backends
 */
export function run<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor[] {
  const entry: KernelEntry<KernelAttrs[K]> = contract[kernel];
  const variadic = entry.inputs[0] === '...f32';
  if (variadic ? ins.length === 0 : ins.length !== entry.inputs.length) {
    throw new TypeError(`${kernel}: takes ${variadic ? 'at least 1' : entry.inputs.length} tensors, got ${ins.length}`);
  }
  ins.forEach((x, i) => {
    if (!(x instanceof Tensor)) checkTensor(`${kernel}: input ${i}`, x);
  });
  const { backend } = ins[0].storage;
  for (let i = 0; i < ins.length; i++) {
    const x = ins[i];
    x.assertLive();
    const want = variadic ? 'f32' : entry.inputs[i];
    if (x.storage.dtype !== want && !entry.view) {
      const got = `${x.storage.dtype} ${formatShape(x.shape)}`;
      throw new TypeError(`${kernel}: input ${i} must be ${want}, got ${got}; cast(x, '${want}') of it is`);
    }
    lifetimes.watcher?.(x, kernel);
    if (x.storage.backend !== backend) {
      throw new Error(
        `${kernel}: inputs live on different backends, ${backend.name} and ${x.storage.backend.name}; make them on one`,
      );
    }
  }
  const specs = entry.outputs(ins, attrs);
  if (entry.indices) checkIndices(kernel, entry.indices, ins, attrs);
  if (entry.view) return [new Tensor(ins[0].storage, specs[0].shape)];
  const { aliases } = entry;
  const outs = specs.map(({ dtype, shape }, i) => {
    // Under anomaly detection no input is overwritten, because the error reports the inputs that the kernel read.
    const input = aliases && ins[aliases[i]];
    const size = sizeOf(shape);
    const reused = input && input.size === size && mayAlias(input) && !watchesKernels();
    return new Tensor(reused ? input.storage : backend.allocate(dtype, size), shape);
  });
  backend.run(kernel, outs, ins, attrs);
  if (entry.made) noteRange(outs[0].storage, entry.made(ins, attrs));
  recordFlops(kernel, () => entry.flops(ins, outs, attrs));
  for (const i of entry.mutates ?? []) ins[i].storage.version++;
  checkOutputs(kernel, outs, ins);
  return outs;
}

/** Tensors of more elements than this are filled by a kernel, which needs no array of that size in JavaScript. */
const LARGEST_WRITTEN = 4096;

/** A tensor filled with one value. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkShape(shape, 'full');
  checkTensorOptions('full', options);
  if (typeof value !== 'number') throw notNumber('full', value);
  // In 64 bits, so that a backend which keeps more than 32 of them, or a large integer, gets the number that was asked for.
  const filled = (size: number, as: Shape) =>
    tensor(new Float64Array(size).fill(value), as, { dtype: 'f32', ...options });
  const size = sizeOf(shape);
  if (size <= LARGEST_WRITTEN || options.dtype === 'i32') return filled(size, shape);
  const one = filled(1, []);
  const [all] = run('broadcastTo', [one], { shape });
  release(one);
  return all;
}

/** A tensor filled with 0. */
export const zeros = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 0, options);

/** A tensor filled with 1. */
export const ones = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 1, options);
