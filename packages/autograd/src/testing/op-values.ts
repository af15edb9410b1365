/** @file Generators of small arrays. Floats come from integers, so that no case is vacuous: every product is of ordinary size. */
import fc from 'fast-check';
import { type Arr, f32, i32, product, range } from './op-row.ts';

/** `weight` copies of each number from `min` to `max`. */
const copies = (min: number, max: number, weight: number): number[] =>
  range((max - min + 1) * weight).map((i) => min + Math.floor(i / weight));
/** A size from a list that rises, so that a smaller place is a smaller size: a counterexample shrinks to the smallest one. */
const sizeFrom = (sizes: readonly number[]): fc.Arbitrary<number> =>
  fc.nat({ max: sizes.length - 1 }).map((i) => sizes[i]);

/** Sizes for gradients: every element costs two evaluations. */
export const smallSize = sizeFrom([0, 1, 1, 2, 2, 2, 3, 3, 3, 3]);
/** Sizes for loops: nothing, one, and around the widths of vector code. */
export const raggedSize = sizeFrom([...copies(0, 1, 14), ...copies(2, 5, 21), ...copies(6, 19, 6)]);

/** Multiples of 1/1024 in [-4, 4]; one in four is a small integer, so that zeros and ties happen. */
export const number = fc.oneof(
  { withCrossShrink: true },
  { weight: 1, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 3, arbitrary: fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024) },
);
/** [1/4, 4] */
export const positive = fc.integer({ min: 256, max: 4096 }).map((i) => i / 1024);
/** +-[1/4, 4] */
export const nonzero = fc.tuple(positive, fc.boolean()).map(([x, minus]) => (minus ? -x : x));

/** An f32 array of a shape, its values drawn from `value`: multiples of 1/1024 unless given. */
export const floats = (shape: readonly number[], value: fc.Arbitrary<number> = number): fc.Arbitrary<Arr> =>
  fc
    .array(value, { minLength: product(shape), maxLength: product(shape), size: 'max' })
    .map((values) => f32(shape, values));

/** n ids below `limit`; `lowest` -1 allows dropped ones. */
export const ids = (shape: readonly number[], limit: number, lowest: 0 | -1 = 0): fc.Arbitrary<Arr> =>
  fc
    .array(fc.integer({ min: lowest, max: Math.max(lowest, limit - 1) }), {
      minLength: product(shape),
      maxLength: product(shape),
      size: 'max',
    })
    .map((values) => i32(values, shape));

/** `count` whole numbers in 0..limit that never decrease. */
export const rising = (count: number, limit: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.integer({ min: 0, max: limit }), { minLength: count, maxLength: count, size: 'max' })
    .map((xs) => xs.sort((a, b) => a - b));

/** A shape of `min` to `max` axes with few elements. */
export function shapes(size: fc.Arbitrary<number>, min = 0, max = 3): fc.Arbitrary<number[]> {
  return fc
    .array(size, { minLength: min, maxLength: max, size: 'max' })
    .map((shape) => shape.map((d, i) => (i < shape.length - 1 ? Math.min(d, 5) : d)));
}

/** How many leading axes an operand lacks, and which of the others it repeats: none in most cases. */
export const droppedAxes = (rank: number) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: rank }) });
/** Three booleans, each true in one case of three: the axes that an operand repeats. */
export const repeatedAxes = fc.array(fc.constantFrom(true, false, false), { minLength: 3, maxLength: 3 });

/** A common shape, and `operands` shapes that broadcast to it. */
export function broadcastable(size: fc.Arbitrary<number>, operands: number): fc.Arbitrary<number[][]> {
  return shapes(size).chain((shape) =>
    fc
      .array(fc.tuple(droppedAxes(shape.length), repeatedAxes), {
        minLength: operands,
        maxLength: operands,
      })
      .map((changes) =>
        changes.map(([dropped, repeated]) => shape.map((d, i) => (repeated[i] ? 1 : d)).slice(dropped)),
      ),
  );
}

/** Changes the float inputs so that no two elements are equal and none is 0: fractional parts (mod 1/8) are all different. */
export function distinct<C extends { readonly ins: readonly Arr[] }>(c: C, which?: readonly number[]): C {
  let position = 0;
  const ins = c.ins.map((x, i) => {
    if (x.dtype !== 'f32' || (which && !which.includes(i))) return x;
    return f32(
      x.shape,
      x.values.map((v) => Math.round(v * 8) / 8 + (2 * (position++ % 60) + 1) / 1024),
    );
  });
  return { ...c, ins };
}

/** Which axes to reduce: any subset, rising. */
export const someAxes = (rank: number): fc.Arbitrary<number[]> => fc.subarray(range(rank));
