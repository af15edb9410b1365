/** @file Parts of a tensor by indices and ranges, and what surrounds it. */
import { checkOptions, checkTensor, describe, formatShape, ones, ShapeError, Tensor } from '@blt-ts/tensor';
import { take, takeAt } from '../ops/axis.ts';
import { where } from '../ops/elementwise.ts';
import { checkList, reshape, slice, pad as zeroPad } from '../ops/shape.ts';

/** The part of one axis that `at` takes: an element, a range 'start:stop:step', ids; null for a new axis, '...' for all axes not named. */
export type Index = number | string | Tensor | null;

/** Whole positions of one axis: from `begin` on, `count` of them, `step` apart. */
interface Range {
  readonly begin: number;
  readonly count: number;
  readonly step: number;
}

/** Where a range begins or ends; its own end of the axis where it is left out, as None in Python. */
type Bound = number | null | undefined;

/** Python's rule for start:stop:step on an axis of `size`: negative bounds count from the end, and what lies outside is cut off. */
function rangeOf(start: Bound, stop: Bound, step: number, size: number): Range {
  const [lowest, highest] = step > 0 ? [0, size] : [-1, size - 1];
  const bound = (b: number) => Math.min(highest, Math.max(lowest, b < 0 ? b + size : b));
  const first = step > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const [begin, end] = [bound(start ?? first), bound(stop ?? -first)];
  if (![begin, end].every(Number.isInteger)) throw new RangeError(`bounds ${start}:${stop} are no whole numbers`);
  return { begin, count: Math.max(0, Math.ceil((end - begin) / step)), step };
}

/** The ranges of all axes: one slice for those without a step, then ids for each of the others. */
function takeRanges(x: Tensor, ranges: readonly Range[]): Tensor {
  const plain = ({ step }: Range) => step === 1;
  const begin = ranges.map((r) => (plain(r) ? r.begin : 0));
  const end = ranges.map((r, i) => (plain(r) ? r.begin + r.count : x.shape[i]));
  const cut = slice(x, begin, end);
  return ranges.reduce((y, r, axis) => {
    if (plain(r)) return y;
    return takeAt(y, axis, r.count, (i) => r.begin + i * r.step);
  }, cut);
}

/**
 * x[begin:end:stride] on each axis, as in Python: negative bounds count from the end, what lies outside is cut off, a negative stride
 * goes backwards. Axes left out are taken whole, and bounds that are null or undefined are the ends of the axis. @throws ShapeError for more bounds than axes, RangeError for a stride that is not whole or 0
 */
export function stridedSlice(
  x: Tensor,
  begin: readonly Bound[],
  end: readonly Bound[],
  strides: readonly number[] = [],
): Tensor {
  checkTensor('stridedSlice: x', x);
  checkList('stridedSlice: begin', begin);
  checkList('stridedSlice: end', end);
  checkList('stridedSlice: strides', strides);
  const count = Math.max(begin.length, end.length, strides.length);
  if (count > x.rank)
    throw new ShapeError(`stridedSlice: ${count} bounds for the ${x.rank} axes of ${formatShape(x.shape)}`);
  for (const step of strides) {
    if (!Number.isInteger(step) || step === 0)
      throw new RangeError(`stridedSlice: stride ${step}; give a whole number, not 0`);
  }
  const ranges = x.shape.map((size, i) => rangeOf(begin[i], end[i], strides[i] ?? 1, size));
  return takeRanges(x, ranges);
}

/** The text of a range as numbers. @throws TypeError for what is none */
function parseRange(text: string, size: number): Range {
  const match = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/.exec(text);
  if (!match || Number(match[3] ?? 1) === 0) {
    throw new TypeError(`at: '${text}' is no range; write start:stop or start:stop:step, such as '1:-1' or '::2'`);
  }
  const [start, stop, step] = match.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  return rangeOf(start, stop, step ?? 1, size);
}

/**
 * A part of x, as NumPy's x[...]: a number takes one element of an axis and drops the axis, a text such as '1:-1' or '::2' a range, an i32
 * tensor the elements with these ids, null adds an axis of size 1, '...' stands for all axes that are not named. Axes left out at the end
 * are taken whole. `at(x, 0, '1:3')` is x[0, 1:3]. Each tensor of ids works on its own axis, and ids are not negative. So two of them take every
 * combination, as x[np.ix_(a, b)] does, where NumPy's x[a, b] takes pairs.
 * @throws RangeError naming an element that is not there, ShapeError for more indices than axes, TypeError for what is no index
 */
export function at(x: Tensor, ...index: Index[]): Tensor {
  checkTensor('at: x', x);
  const named = index.filter((i) => i !== null && i !== '...').length;
  if (named > x.rank) throw new ShapeError(`at: ${named} indices for the ${x.rank} axes of ${formatShape(x.shape)}`);
  const dots = index.indexOf('...');
  if (dots !== index.lastIndexOf('...')) throw new TypeError("at: '...' stands twice; it can stand once");
  const rest = new Array<Index>(x.rank - named).fill(':');
  const all = dots < 0 ? [...index, ...rest] : [...index.slice(0, dots), ...rest, ...index.slice(dots + 1)];
  const ranges: Range[] = [];
  // Axes of the result: a size, or the ids that choose it.
  const axes: (number | Tensor)[] = [];
  for (const i of all) {
    const size = x.shape[ranges.length];
    if (i === null) axes.push(1);
    else if (typeof i === 'number') {
      if (!Number.isInteger(i) || i < -size || i >= size) {
        throw new RangeError(
          `at: index ${i} is outside axis ${ranges.length} of ${formatShape(x.shape)}; use ${-size}..${size - 1}`,
        );
      }
      ranges.push({ begin: i < 0 ? i + size : i, count: 1, step: 1 });
    } else if (typeof i === 'string') {
      const range = parseRange(i, size);
      axes.push(range.count);
      ranges.push(range);
    } else if (i instanceof Tensor) {
      axes.push(i);
      ranges.push({ begin: 0, count: size, step: 1 });
    } else
      throw new TypeError(
        `at: an index is a number, a range such as '1:3', an i32 tensor, null or '...', got ${describe(i)}`,
      );
  }
  return withIds(takeRanges(x, ranges), x, axes, all);
}

/** The axes that numbers chose dropped, and the ids of the others taken, from the last. */
function withIds(cut: Tensor, x: Tensor, axes: readonly (number | Tensor)[], index: readonly Index[]): Tensor {
  const sizes = index.filter((i) => i !== null).map((i, axis) => (i instanceof Tensor ? x.shape[axis] : undefined));
  const whole = sizes.filter((size) => size !== undefined);
  let next = 0;
  const shape = axes.map((a) => (a instanceof Tensor ? (whole[next++] as number) : a));
  let y = reshape(cut, shape);
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const ids = axes[axis];
    if (ids instanceof Tensor) y = take(y, ids, axis);
  }
  return y;
}

/** The elements that `pad` puts around a tensor. */
export interface PadOptions {
  /** 'constant' unless given; 'reflect' mirrors at the first and the last element, 'edge' repeats them. */
  mode?: 'constant' | 'reflect' | 'edge';
  /** The constant, 0 unless given. */
  value?: number;
}

/** The element that stands at place i of an axis of size d, i from before its beginning to behind its end. */
const places = {
  edge: (i: number, d: number) => Math.min(d - 1, Math.max(0, i)),
  reflect: (i: number, d: number) => {
    const period = 2 * (d - 1);
    const at = period === 0 ? 0 : ((i % period) + period) % period;
    return at < d ? at : period - at;
  },
};

/**
 * x surrounded by before[i] and after[i] elements on axis i: zeros, another value, or its own elements. JAX and NumPy call the modes so;
 * PyTorch calls 'edge' 'replicate'. @throws ShapeError if the bounds do not fit x; TypeError for another mode
 */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], options: PadOptions = {}): Tensor {
  checkTensor('pad: x', x);
  checkList('pad: before', before);
  checkList('pad: after', after);
  checkOptions('pad', options, ['mode', 'value']);
  const { mode = 'constant', value = 0 } = options;
  if (mode === 'constant') {
    const y = zeroPad(x, before, after);
    return value === 0 ? y : where(zeroPad(ones(x.shape, { backend: x.backend }), before, after), y, value);
  }
  const place = places[mode];
  if (!place) throw new TypeError(`pad: mode must be 'constant', 'reflect' or 'edge', got ${describe(mode)}`);
  const fits = [before, after].every((l) => l.length === x.rank && l.every((n) => Number.isInteger(n) && n >= 0));
  const bounds = `[${before.join(',')}] and [${after.join(',')}]`;
  if (!fits) throw new ShapeError(`pad: bounds ${bounds} do not fit ${formatShape(x.shape)}`);
  const start = reshape(x, x.shape);
  return x.shape.reduce((y, d, axis) => {
    const [b, a] = [before[axis], after[axis]];
    if (a + b === 0) return y;
    if (d === 0) throw new ShapeError(`pad: axis ${axis} of ${formatShape(x.shape)} has no elements to ${mode}`);
    return takeAt(y, axis, b + d + a, (i) => place(i - b, d));
  }, start);
}
