/**
 * @file Convolutions and pooling over one or two axes. The windows of x are gathered as rows of a matrix, channels last; a convolution is
 * then one `matmul`, a pooling one reduction (im2col, Chellapilla et al. 2006).
 */
import { checkOptions, checkTensor, formatShape, ShapeError, sizeOf, type Tensor, tensor } from '@blt-ts/tensor';
import { add } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { max, mean } from '../ops/reduce.ts';
import { gatherRows } from '../ops/rows.ts';
import { reshape, transpose } from '../ops/shape.ts';
import { pad } from './indexing.ts';

/** A number for each axis, or one for all of them. */
type PerAxis = number | readonly number[];

/** Where windows stand. */
interface WindowOptions {
  /** From one window to the next; 1 unless given, for pooling the size of the window. */
  stride?: PerAxis;
  /** Elements added at both ends of each axis; 0 unless given. */
  padding?: PerAxis;
  /** From one element of a window to the next; 1 unless given. */
  dilation?: PerAxis;
}

/** How `conv1d` and `conv2d` move their windows, what they add, and which channels see each other. */
export interface ConvOptions extends WindowOptions {
  /** [O], added to each channel of the result. */
  bias?: Tensor;
  /** Parts that the channels fall into: each part of the result sees its own part of x alone. */
  groups?: number;
}

/** How poolings move their windows. */
export type PoolOptions = WindowOptions;

/** One number for each of `axes` axes. @throws ShapeError for another number of them, or one below `least` */
function perAxis(op: string, name: string, value: PerAxis, axes: number, least: number): number[] {
  const list = Array.isArray(value) ? [...value] : new Array<number>(axes).fill(value as number);
  if (list.length === axes && list.every((v) => Number.isInteger(v) && v >= least)) return list;
  throw new ShapeError(
    `${op}: ${name} [${list.map(String).join(',')}] must be ${axes} whole numbers, each at least ${least}`,
  );
}

/** Windows of x [N, C, ...axes] as rows: [N * places, elements, C], and the places along each axis. */
function windows(op: string, x: Tensor, size: readonly number[], options: WindowOptions, filling = 0) {
  const axes = size.length;
  const [N, C, ...sizes] = x.shape;
  const stride = perAxis(op, 'stride', options.stride ?? 1, axes, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, axes, 0);
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
  const padded = sizes.map((d, i) => d + 2 * padding[i]);
  const places = padded.map((d, i) => Math.floor((d - dilation[i] * (size[i] - 1) - 1) / stride[i]) + 1);
  if (places.some((count) => count < 1) || size.includes(0)) {
    throw new ShapeError(
      `${op}: a window [${size.join(',')}] with dilation [${dilation.join(',')}] does not fit into [${padded.join(',')}]`,
    );
  }
  const last = transpose(x, [0, ...sizes.map((_, i) => i + 2), 1]);
  const around = [0, ...padding, 0];
  const rows = reshape(padding.some((p) => p > 0) ? pad(last, around, around, { value: filling }) : last, [
    N * sizeOf(padded),
    C,
  ]);
  // Rows of the padded x by axis: where each window begins, and how far on each of its elements is.
  const grid = (counts: readonly number[], steps: readonly number[]) =>
    counts.reduce<number[]>(
      (all, count, i) => {
        const line = Array.from({ length: count }, (_, k) => k * steps[i]);
        return all.flatMap((row) => line.map((k) => row * padded[i] + k));
      },
      [0],
    );
  const [begins, offsets] = [grid(places, stride), grid(size, dilation)];
  const ids = new Int32Array(N * begins.length * offsets.length);
  let next = 0;
  for (let n = 0; n < N; n++) {
    for (const begin of begins) for (const offset of offsets) ids[next++] = n * sizeOf(padded) + begin + offset;
  }
  const taken = gatherRows(rows, tensor(ids, undefined, { backend: x.backend }));
  return { rows: reshape(taken, [N * begins.length, offsets.length, C]), places };
}

function checkRank(op: string, name: string, x: Tensor, axes: number): void {
  checkTensor(`${op}: ${name}`, x);
  if (x.rank === axes + 2) return;
  throw new ShapeError(`${op}: ${name} must have ${axes + 2} axes, got ${formatShape(x.shape)}`);
}

function convolution(op: string, axes: number, x: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  checkRank(op, 'x', x, axes);
  checkRank(op, 'weight', weight, axes);
  checkOptions(op, options, ['stride', 'padding', 'dilation', 'bias', 'groups']);
  const { groups: G = 1, bias } = options;
  const [N, C] = x.shape;
  const [O, perGroup, ...size] = weight.shape;
  if (!Number.isInteger(G) || G < 1 || C !== perGroup * G || O % G !== 0) {
    const shapes = `x ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}`;
    throw new ShapeError(
      `${op}: ${shapes} do not fit in ${G} groups: ${C} channels, ${perGroup} a group, ${O} results`,
    );
  }
  const { rows, places } = windows(op, x, size, options);
  const [count, K] = rows.shape;
  const kernels = transpose(reshape(weight, [G, O / G, perGroup, K]), [0, 1, 3, 2]);
  const columns = transpose(reshape(rows, [count, K, G, perGroup]), [2, 0, 1, 3]);
  const y = matmul(reshape(columns, [G, count, K * perGroup]), reshape(kernels, [G, O / G, K * perGroup]), {
    transposeB: true,
  });
  const channelsFirst = transpose(reshape(y, [G, N, sizeOf(places), O / G]), [1, 0, 3, 2]);
  const result = reshape(channelsFirst, [N, O, ...places]);
  if (!bias) return result;
  checkTensor(`${op}: bias`, bias);
  if (bias.rank !== 1 || bias.size !== O) throw new ShapeError(`${op}: bias ${formatShape(bias.shape)} must be [${O}]`);
  return add(result, reshape(bias, [O, ...places.map(() => 1)]));
}

/**
 * Convolution along one axis (as everywhere in this field, the kernel is not mirrored): x [N,C,L], weight [O,C/groups,K] -> [N,O,M],
 * y[n,o,m] = bias[o] + sum over c, k of weight[o,c,k] x[n, c, m stride + k dilation - padding], M = (L + 2 padding - dilation (K-1) - 1) / stride + 1.
 * @throws ShapeError for sizes that do not fit
 */
export const conv1d = (x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor =>
  convolution('conv1d', 1, x, weight, options);

/**
 * Convolution along two axes: x [N,C,H,W], weight [O,C/groups,KH,KW] -> [N,O,H',W'], as `conv1d` along each of them.
 * @throws ShapeError for sizes that do not fit
 */
export const conv2d = (x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor =>
  convolution('conv2d', 2, x, weight, options);

/**
 * Windows that stand side by side and fill x, as axes of it: [N, C, M, window, M', window']. Nothing has to be gathered.
 * Null for others.
 */
function sideBySide(op: string, x: Tensor, size: readonly number[], options: WindowOptions): Tensor | null {
  const axes = size.length;
  const [N, C, ...sizes] = x.shape;
  const stride = perAxis(op, 'stride', options.stride ?? size, axes, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, axes, 0);
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1);
  const fill = (k: number, i: number) =>
    stride[i] === k && padding[i] === 0 && dilation[i] === 1 && sizes[i] >= k && sizes[i] % k === 0;
  if (!size.every(fill)) return null;
  return reshape(x, [N, C, ...sizes.flatMap((d, i) => [d / size[i], size[i]])]);
}

function pool(
  op: string,
  axes: number,
  x: Tensor,
  window: PerAxis,
  options: PoolOptions,
  fold: typeof max,
  filling: number,
): Tensor {
  checkRank(op, 'x', x, axes);
  checkOptions(op, options, ['stride', 'padding', 'dilation']);
  const size = perAxis(op, 'window', window, axes, 1);
  const cells = sideBySide(op, x, size, options);
  if (cells) return fold(cells, { axes: size.map((_, i) => 3 + 2 * i) });
  const { rows, places } = windows(op, x, size, { ...options, stride: options.stride ?? size }, filling);
  const [N, C] = x.shape;
  const y = reshape(fold(rows, { axes: 1 }), [N, sizeOf(places), C]);
  return reshape(transpose(y, [0, 2, 1]), [N, C, ...places]);
}

/** Largest element of each window along one axis: x [N,C,L] -> [N,C,M]. Equal ones share the gradient. @throws ShapeError as `conv1d` */
export const maxPool1d = (x: Tensor, window: PerAxis, options: PoolOptions = {}): Tensor =>
  pool('maxPool1d', 1, x, window, options, max, Number.NEGATIVE_INFINITY);

/** Largest element of each window along two axes: x [N,C,H,W] -> [N,C,H',W']. Equal ones share the gradient. @throws ShapeError as `conv1d` */
export const maxPool2d = (x: Tensor, window: PerAxis, options: PoolOptions = {}): Tensor =>
  pool('maxPool2d', 2, x, window, options, max, Number.NEGATIVE_INFINITY);

/** Mean of each window along one axis, zeros of the padding among them: x [N,C,L] -> [N,C,M]. @throws ShapeError as `conv1d` */
export const avgPool1d = (x: Tensor, window: PerAxis, options: PoolOptions = {}): Tensor =>
  pool('avgPool1d', 1, x, window, options, mean, 0);

/** Mean of each window along two axes, zeros of the padding among them: x [N,C,H,W] -> [N,C,H',W']. @throws ShapeError as `conv1d` */
export const avgPool2d = (x: Tensor, window: PerAxis, options: PoolOptions = {}): Tensor =>
  pool('avgPool2d', 2, x, window, options, mean, 0);
