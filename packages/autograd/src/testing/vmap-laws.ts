/** @file The laws of `vmap`: a function of a batch is the function of each example, for every operation of the op table. */
import { contract, type KernelName, scope, type Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { grad } from '../grad.ts';
import { applyAll } from '../tape.ts';
import { vmap } from '../vmap.ts';
import { reference64 } from './backends.ts';
import { expectEqual, type Law, law } from './law.ts';
import { libraryTable } from './library-table.ts';
import { relativeDistance, weighted } from './op-gradient.ts';
import type { Arr, OpCase } from './op-row.ts';
import { toTensor } from './op-run.ts';
import { opTable, rowOf } from './op-table.ts';
import { smallSize } from './op-values.ts';

const { backend } = reference64;

/** An operation with all its results, and how to draw its inputs. */
interface Mapped {
  readonly cases: (size: fc.Arbitrary<number>) => fc.Arbitrary<OpCase<never>>;
  readonly call: (ins: readonly Tensor[], attrs: never) => readonly Tensor[];
  /** Float inputs that gradients flow to, by index; undefined where there is no gradient. */
  readonly variables?: (ins: readonly Arr[]) => readonly number[];
  readonly smooth?: (c: OpCase<never>) => OpCase<never>;
}

const floatsBut =
  (constants: readonly number[] = []) =>
  (ins: readonly Arr[]): number[] =>
    [...ins.keys()].filter((i) => ins[i].dtype === 'f32' && !constants.includes(i));

/** @throws Error for a name that is in neither table */
function mappedOf(name: string): Mapped {
  if (Object.hasOwn(opTable, name)) {
    const { cases, gradient } = rowOf(name as KernelName);
    const call = (ins: readonly Tensor[], attrs: never) => applyAll(name as KernelName, ins, attrs);
    if (!('operation' in gradient)) return { cases: cases as never, call };
    return { cases: cases as never, call, variables: floatsBut(gradient.constants), smooth: gradient.smooth as never };
  }
  if (!Object.hasOwn(libraryTable, name)) {
    throw new Error(`${name} is no operation of the op table; libraryNames and kernelNames list them`);
  }
  const { cases, operation, whole, constants, smooth } = libraryTable[name];
  const call = (ins: readonly Tensor[], attrs: never) => [operation(ins, attrs)];
  return { cases, call, variables: whole ? undefined : floatsBut(constants), smooth };
}

/** The values from place b on, and then those before: another example, of the same domain. Whole numbers stay, for they may have to rise. */
const turned = (x: Arr, b: number): Arr => {
  if (x.dtype === 'i32' || x.values.length === 0) return x;
  const at = b % x.values.length;
  return { ...x, values: [...x.values.slice(at), ...x.values.slice(0, at)] };
};

/** A case, the number of examples, and which inputs are of the batch: at least one. */
const batches = (op: Mapped, smooth: boolean) =>
  fc.tuple(op.cases(smallSize), fc.integer({ min: 2, max: 3 }), fc.nat(), fc.nat()).map(([drawn, n, mask, one]) => {
    const c = (smooth && op.smooth?.(drawn)) || drawn;
    const mapped = c.ins.map((_, i) => ((mask >> i) & 1) === 1 || i === one % c.ins.length);
    const examples = Array.from({ length: n }, (_, b) => c.ins.map((x, i) => (mapped[i] ? turned(x, b) : x)));
    return { examples, attrs: c.attrs, mapped };
  });

interface BatchCase {
  readonly examples: readonly (readonly Arr[])[];
  readonly attrs: never;
  readonly mapped: readonly boolean[];
}

/** f of a batch against f of each example. @param bound the largest relative distance */
function compare(
  { examples, attrs, mapped }: BatchCase,
  f: (ins: readonly Tensor[], attrs: never) => readonly Tensor[],
  bound: number,
): void {
  scope(() => {
    const which = [...mapped.keys()].filter((i) => mapped[i]);
    const all = which.map((i) => {
      const [{ dtype, shape }] = examples.map((ins) => ins[i]);
      const values = examples.flatMap((ins) => ins[i].values);
      return toTensor({ dtype, shape: [examples.length, ...shape], values }, backend);
    });
    const shared = examples[0].map((x) => toTensor(x, backend));
    const ofBatch = vmap(
      (xs: readonly Tensor[]) =>
      f(shared.map((x, i) => (mapped[i] ? xs[which.indexOf(i)] : x)), attrs), // biome-ignore format: one sentence
    )(all);
    examples.forEach((ins, b) => {
      const wanted = f(ins.map((x) => toTensor(x, backend)), attrs); // biome-ignore format: one sentence
      wanted.forEach((want, i) => {
        const got = ofBatch[i];
        expectEqual(got.shape, [examples.length, ...want.shape], `the shape of result ${i}`);
        expectEqual(got.dtype, want.dtype, `the type of result ${i}`);
        const values = got.readSync().subarray(b * want.size, (b + 1) * want.size);
        const distance = relativeDistance(values, want.readSync());
        if (!(distance <= bound)) throw new Error(`example ${b} of result ${i} is a relative ${distance} off`);
      });
    });
  });
}

/**
 * The laws of an operation under `vmap`, on the reference backend in 64 bits: a batch gives what its examples give, whichever inputs are of the
 * batch and whichever all examples share; and so does `vmap` of its gradient.
 * @param name a kernel of the contract, or an operation of the library
 */
export function vmapLaws(name: string): Law[] {
  const op = mappedOf(name);
  // What is done in place has no result that could be stacked.
  if (Object.hasOwn(opTable, name) && contract[name as KernelName].mutates) return [];
  const values = law(`${name}: vmap of it is it of each example`, batches(op, false), 8, (c) => compare(c, op.call, 0));
  const { variables } = op;
  if (!variables) return [values];
  const gradient = (ins: readonly Tensor[], attrs: never) => {
    const own = variables(ins.map((x) => ({ dtype: x.dtype, shape: x.shape, values: [] })));
    return grad(
      (xs: readonly Tensor[]) =>
      weighted(op.call(ins.map((x, i) => (own.includes(i) ? xs[own.indexOf(i)] : x)), attrs)[0]), // biome-ignore format: one sentence
    )(own.map((i) => ins[i]));
  };
  return [
    values,
    law(`${name}: vmap of its gradient is the gradient of each example`, batches(op, true), 4, (c) =>
      compare(c, gradient, 1e-12),
    ),
  ];
}
