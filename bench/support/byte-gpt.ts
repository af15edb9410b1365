/**
 * @file A small byte-level GPT, the same step in every framework that it is measured in: d 256, 4 layers of 4 heads, feed-forward
 * 1024 with GELU (tanh form), vocabulary 260, learned positions, RMSNorm before each part, 8 rows of 256 bytes, AdamW, float32.
 */
import {
  add,
  affine,
  crossEntropy,
  gatherRows,
  type IntervalBounds,
  intervalAttention,
  linear,
  mean,
  mul,
  rmsNorm,
  sigmoid,
  square,
  valueAndGrad,
} from '@blt-ts/autograd';
import { ADAMW_DEFAULTS, AdamW, coalesce, gradientLeaves, treeFromNames } from '@blt-ts/blt';
import { type Backend, Random, scope, type Tensor, tensor } from '@blt-ts/tensor';

export const BYTE_GPT = { width: 256, layers: 4, heads: 4, hidden: 1024, vocab: 260, rows: 8, length: 256, lr: 1e-3 };

/** Initial values by name, the same for all. Matrices are [out, inner]. */
export function byteGptParameters(): Map<string, { shape: number[]; values: Float32Array }> {
  const { width, layers, hidden, vocab, length } = BYTE_GPT;
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

/** Ids and targets [rows * length]: text-like, so that the loss falls. */
export function byteGptData(): { ids: Int32Array; targets: Int32Array } {
  const { rows, length } = BYTE_GPT;
  const at = (i: number) => 101 + ((i * 7 + Math.floor(i / 13) * 5) % 26);
  const ids = Int32Array.from({ length: rows * length }, (_, i) => at(i));
  return { ids, targets: ids.map((_, i) => at(i + 1)) };
}

type Layer = Record<'norm1' | 'q' | 'k' | 'v' | 'o' | 'norm2' | 'up' | 'down', Tensor>;
interface Params {
  bytes: Tensor;
  positions: Tensor;
  layers: Layer[];
  norm: Tensor;
  head: Tensor;
}

/** x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): GELU in its tanh form. Hendrycks & Gimpel 2016. */
function gelu(x: Tensor): Tensor {
  const slope = affine(square(x), 2 * Math.sqrt(2 / Math.PI) * 0.044715, 2 * Math.sqrt(2 / Math.PI));
  return mul(x, sigmoid(mul(x, slope)));
}

function loss(p: Params, ids: Tensor, positions: Tensor, targets: Tensor, bounds: IntervalBounds): Tensor {
  let x = add(gatherRows(p.bytes, ids), gatherRows(p.positions, positions));
  for (const layer of p.layers) {
    const before = x;
    const h = scope(() => {
      const n = rmsNorm(before, layer.norm1);
      const y = intervalAttention(linear(n, layer.q), linear(n, layer.k), linear(n, layer.v), bounds, BYTE_GPT.heads);
      return add(before, linear(y, layer.o));
    });
    x = scope(() => add(h, linear(gelu(linear(rmsNorm(h, layer.norm2), layer.up)), layer.down)));
  }
  return mean(crossEntropy(linear(rmsNorm(x, p.norm), p.head), targets));
}

/** One training step on the backend; returns the loss, nats. */
export function byteGptStep(backend: Backend): () => number {
  const { rows, length, lr } = BYTE_GPT;
  const params = treeFromNames<Params>(
    [...byteGptParameters()].map(([name, { shape, values }]) => [name, tensor(values, shape, { backend })] as const),
  );
  const optimizer = new AdamW(params, ADAMW_DEFAULTS);
  const data = byteGptData();
  const starts = Int32Array.from({ length: rows * length }, (_, i) => i - (i % length));
  const pairs = (rows * length * (length + 1)) / 2;
  return () =>
    scope(() => {
      const of = (values: Int32Array) => tensor(values, undefined, { backend });
      const bounds = { lo: of(starts), hi: of(starts.map((_, i) => i + 1)), pairs };
      const [ids, targets, positions] = [of(data.ids), of(data.targets), of(starts.map((s, i) => i - s))];
      const { value, grads } = valueAndGrad((p: Params) => loss(p, ids, positions, targets, bounds), { sparse: true })(
        params as never,
      );
      optimizer.update(coalesce(new Map(gradientLeaves(grads))), lr);
      return value.item();
    });
}
