/**
 * @file One row of the op table: everything that is known of a kernel. And the small language the definitions are written in: index vectors,
 * `tabulate`, and numbers that carry the error which floating-point arithmetic may add to them.
 */
import type { DType, KernelAttrs, KernelName, Tensor } from '@blt-ts/tensor';
import type fc from 'fast-check';

/** An input or output as plain numbers, row-major. */
export interface Arr {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** Inputs of an operation, and its attributes: numbers and flags. */
export interface OpCase<Attrs> {
  readonly ins: readonly Arr[];
  readonly attrs: Attrs;
}

/** Inputs and attributes of a kernel. */
export type Case<K extends KernelName> = OpCase<KernelAttrs[K]>;

/** An exact value, and how far floating-point arithmetic may end from it, in units of the roundoff u: |y - value| <= error u. */
export interface Approx {
  readonly value: number;
  readonly error: number;
}

/** An output as its definition has it. */
export interface Expected {
  readonly shape: readonly number[];
  readonly values: readonly Approx[];
}

/** Inputs that must be refused, and the exact message. */
export interface Refusal<K extends KernelName> {
  readonly ins: readonly Arr[];
  readonly attrs: KernelAttrs[K];
  readonly message: string;
  /** The name of the error; ShapeError unless said. */
  readonly error?: 'RangeError' | 'TypeError';
  /** Refused by the differentiable function: its kernel is never asked. */
  readonly byOperation?: true;
}

/** The differentiable function over the kernel, as a user calls it. */
export type Operation<K extends KernelName> = (ins: readonly Tensor[], attrs: KernelAttrs[K]) => Tensor;

/** How a kernel is differentiated. */
export type Gradient<K extends KernelName> =
  /** Taking a gradient through the kernel throws this. */
  | { readonly refused: string }
  /** Whole numbers go in or come out: there is nothing to differentiate. */
  | { readonly whole: true }
  /** The kernel computes the gradients of another one: the second derivatives of that one say whether its rule is right. */
  | { readonly gradientOf: KernelName }
  | {
      readonly operation: Operation<K>;
      /** Float inputs that are constants by contract (no gradient flows to them). */
      readonly constants?: readonly number[];
      /** Makes a case differentiable: away from kinks and ties. */
      readonly smooth?: (c: Case<K>) => Case<K>;
      /** The same function out of primitive operations. */
      readonly composed?: Operation<K>;
    };

/** A differentiable operation, for `gradientLaws`: how to draw its inputs, and how to call it. */
export interface DifferentiableOp<Attrs = never> {
  /** How the laws call it. */
  readonly name: string;
  /** Legal inputs; `size` draws the free sizes, 0 and 1 among them. Integer inputs are constants. */
  readonly cases: (size: fc.Arbitrary<number>) => fc.Arbitrary<OpCase<Attrs>>;
  /** The operation itself, on tensors. */
  readonly operation: (ins: readonly Tensor[], attrs: Attrs) => Tensor;
  /** How often it can be differentiated: 2 (default) or 1. */
  readonly order?: 1 | 2;
  /** Largest relative error of difference quotients of the gradient (1e-6). */
  readonly tolerance?: number;
  /** How many roundoffs gradients in 32 bits may be off, besides four for each element of the longest axis (256). */
  readonly roundoffs?: number;
  /** Float inputs that are constants by contract (no gradient flows to them), by index. */
  readonly constants?: readonly number[];
  /** Makes a case differentiable: away from kinks and ties. */
  readonly smooth?: (c: OpCase<Attrs>) => OpCase<Attrs>;
  /** The same function out of other operations. */
  readonly composed?: (ins: readonly Tensor[], attrs: Attrs) => Tensor;
}

/** Everything that is known of one kernel. */
export interface OpRow<K extends KernelName> {
  /** Legal inputs; `size` draws the free sizes, so that gradients can ask for small ones and loops for ragged ones. */
  readonly cases: (size: fc.Arbitrary<number>) => fc.Arbitrary<Case<K>>;
  /** The formula of the contract in 64 bits: the outputs, or for an in-place kernel the inputs it overwrites. */
  readonly define: (ins: readonly Arr[], attrs: KernelAttrs[K]) => Expected[];
  readonly gradient: Gradient<K>;
  /** Wrong shapes and attributes. Wrong dtypes and counts are generated from the contract. */
  readonly refusals: readonly Refusal<K>[];
}

/** Rows of some kernels. */
export type OpRows<K extends KernelName> = { readonly [P in K]: OpRow<P> };

// ----- arrays and indices ---------------------------------------------------------------------------------------------

/** An array of floats. */
export const f32 = (shape: readonly number[], values: readonly number[]): Arr => ({ dtype: 'f32', shape, values });
/** An array of whole numbers; a list unless a shape is given. */
export const i32 = (values: readonly number[], shape: readonly number[] = [values.length]): Arr => ({
  dtype: 'i32',
  shape,
  values,
});
/** Zeros, for refusals. */
export const blank = (...shape: number[]): Arr => f32(shape, new Array(product(shape)).fill(0));

/** The product of all numbers; 1 for none. */
export const product = (xs: readonly number[]): number => xs.reduce((a, b) => a * b, 1);
/** 0 .. n-1 */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Every index vector of a shape, row-major. */
export function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>((all, d) => all.flatMap((index) => range(d).map((i) => [...index, i])), [[]]);
}

/** x[index]; axes of size 1 repeat, and leading axes that x lacks are ignored (broadcasting). */
export function at({ shape, values }: Arr, ...index: number[]): number {
  const lacking = index.length - shape.length;
  let offset = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    offset = offset * shape[axis] + (shape[axis] === 1 ? 0 : index[lacking + axis]);
  }
  return values[offset];
}

/** The array whose element at each index is f(index). */
export function tabulate(shape: readonly number[], f: (...index: number[]) => Approx): Expected {
  const index = shape.map(() => 0);
  const values = range(product(shape)).map(() => {
    const value = f(...index);
    // The next index: the last axis first, and each that is through begins again.
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    return value;
  });
  return { shape, values };
}

/** x with `axes` reduced to size 1: each element is f of those of x that fall together. */
export function reduceBy(x: Arr, axes: readonly number[], f: (elements: number[]) => Approx): Expected {
  const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const places = f32(shape, range(product(shape)));
  const groups = places.values.map((): number[] => []);
  indices(x.shape).forEach((index, i) => {
    groups[at(places, ...index)].push(x.values[i]);
  });
  return { shape, values: groups.map((elements) => f(elements)) };
}

/** The index without its last axis, as rows of it: [row 0, row 1, ...] of x. */
export function rowsOf(x: Arr): number[][] {
  const C = x.shape.at(-1)!;
  return range(product(x.shape.slice(0, -1))).map((i) => x.values.slice(i * C, (i + 1) * C));
}

/** One row of x, whatever its rank, by the index of an element. */
export const rowAt = (x: Arr, index: readonly number[]): number[] => {
  const lead = index.slice(0, -1).reduce((offset, i, axis) => offset * x.shape[axis] + i, 0);
  const C = x.shape.at(-1)!;
  return x.values.slice(lead * C, (lead + 1) * C);
};

// ----- numbers with an error ------------------------------------------------------------------------------------------

/** A result without any rounding. */
export const exact = (value: number): Approx => ({ value, error: 0 });
/** A result within `count` roundoffs of itself: 1 for a correctly rounded operation, 4 for a good elementary function. */
export const ulps = (value: number, count: number): Approx => ({ value, error: count * Math.abs(value) });
/** A result within `error` roundoffs. */
export const off = (value: number, error: number): Approx => ({ value, error });

/** The sum. */
export const plain = (terms: readonly number[]): number => terms.reduce((a, b) => a + b, 0);
/** The sum of the magnitudes. */
export const magnitude = (terms: readonly number[]): number => terms.reduce((a, b) => a + Math.abs(b), 0);
/** Sum of n rounded products, in any order: |error| <= n u sum |terms| (Higham 2002, eq. 3.5). */
export const total = (terms: readonly number[]): Approx => off(plain(terms), terms.length * magnitude(terms));
