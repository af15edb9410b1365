/**
 * @file A GPT over bytes, of any size: learned positions, RMSNorm before each part, GELU in its tanh form. There are no masks. Each byte
 * has an interval of bytes that it sees. The benchmark `pnpm bench byte-gpt` trains the same model.
 */
import {
  add, affine, crossEntropy, gatherRows, type IntervalBounds, intervalAttention, linear, mean, mul, rmsNorm, sigmoid, square, treeFromNames,
} from '@blt-ts/autograd'; // biome-ignore format: a list
import { type Backend, Random, scope, type Tensor, tensor } from '@blt-ts/tensor';

/** Sizes of a model. `length` is the number of bytes in a row, and so of positions. */
export interface Sizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly length: number;
}

type Layer = Record<'norm1' | 'q' | 'k' | 'v' | 'o' | 'norm2' | 'up' | 'down', Tensor>;
/** The parameters. Matrices are [out, inner]. */
export interface Params {
  readonly bytes: Tensor;
  readonly positions: Tensor;
  readonly layers: readonly Layer[];
  readonly norm: Tensor;
  readonly head: Tensor;
}

/** Initial values by name, the same for every framework that the model is measured in. */
export function initialValues(sizes: Sizes): Map<string, { shape: number[]; values: Float32Array }> {
  const { width, layers, hidden, vocab, length } = sizes;
  const made = new Map<string, { shape: number[]; values: Float32Array }>();
  const random = new Random(1);
  const matrix = (name: string, out: number, inner: number, std = inner ** -0.5) => {
    const values = new Float32Array(out * inner);
    random.fork(name).fillTruncatedNormal(values, { std });
    made.set(name, { shape: [out, inner], values });
  };
  const ones = (name: string) => made.set(name, { shape: [width], values: new Float32Array(width).fill(1) });
  matrix('bytes', vocab, width, 0.05);
  matrix('positions', length, width, 0.05);
  for (let i = 0; i < layers; i++) {
    ones(`layers.${i}.norm1`);
    for (const name of ['q', 'k', 'v', 'o']) matrix(`layers.${i}.${name}`, width, width);
    ones(`layers.${i}.norm2`);
    matrix(`layers.${i}.up`, hidden, width);
    matrix(`layers.${i}.down`, width, hidden);
  }
  ones('norm');
  matrix('head', vocab, width);
  return made;
}

/** Fresh parameters. */
export const newParams = (sizes: Sizes, backend?: Backend): Params =>
  treeFromNames<Params>(
    [...initialValues(sizes)].map(([name, { shape, values }]) => [name, tensor(values, shape, { backend })] as const),
  );

/** Rows of bytes, laid end to end: ids and positions [rows * length], and the interval of bytes that each one sees. */
export interface Rows {
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly bounds: IntervalBounds;
}

/** A byte sees itself and those before it in its own row. */
export function rowsOf(ids: Int32Array, length: number, backend?: Backend): Rows {
  const of = (values: Int32Array) => tensor(values, undefined, { backend });
  const starts = ids.map((_, i) => i - (i % length));
  const pairs = starts.reduce((sum, start, i) => sum + i + 1 - start, 0);
  return {
    ids: of(ids),
    positions: of(starts.map((start, i) => i - start)),
    bounds: { lo: of(starts), hi: of(starts.map((_, i) => i + 1)), pairs },
  };
}

/** x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): GELU in its tanh form. Hendrycks & Gimpel 2016. */
function gelu(x: Tensor): Tensor {
  const slope = affine(square(x), 2 * Math.sqrt(2 / Math.PI) * 0.044715, 2 * Math.sqrt(2 / Math.PI));
  return mul(x, sigmoid(mul(x, slope)));
}

/** Rows -> logits [rows * length, vocab]. Row i is about byte i + 1. */
export function logits(p: Params, { ids, positions, bounds }: Rows, heads: number): Tensor {
  let x = add(gatherRows(p.bytes, ids), gatherRows(p.positions, positions));
  for (const layer of p.layers) {
    const before = x;
    const h = scope(() => {
      const n = rmsNorm(before, layer.norm1);
      const y = intervalAttention(linear(n, layer.q), linear(n, layer.k), linear(n, layer.v), bounds, heads);
      return add(before, linear(y, layer.o));
    });
    x = scope(() => add(h, linear(gelu(linear(rmsNorm(h, layer.norm2), layer.up)), layer.down)));
  }
  return linear(rmsNorm(x, p.norm), p.head);
}

/** Mean cross-entropy of the next bytes, nats. */
export const loss = (p: Params, rows: Rows, targets: Tensor, heads: number): Tensor =>
  mean(crossEntropy(logits(p, rows, heads), targets));
