/**
 * @file The fused operations by their definitions, built from primitive operations. They are slower. Gradients of gradients of the
 * fused operations go through them (rules.ts), and tests compare the fused kernels with them, values and gradients. Arguments and
 * shapes are those of the fused operations.
 */
import { type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { add, affine, div, exp, log, mul, neg, sigmoid, sqrt, sub } from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { max, mean, sum } from './ops/reduce.ts';
import { gatherRows } from './ops/rows.ts';
import { concat, reshape, slice } from './ops/shape.ts';
import { stopGradient } from './tape.ts';

const lastAxis = { axes: -1, keepDims: true };

/** y = e^(x - max) / sum e^(x - max) over the last axis. The shift by max does not change y, so it is a constant. */
export function softmax(x: Tensor): Tensor {
  const e = exp(sub(x, stopGradient(max(x, lastAxis))));
  return div(e, sum(e, lastAxis));
}

/** y = x - max - ln sum e^(x - max) over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = sub(x, stopGradient(max(x, lastAxis)));
  return sub(shifted, log(sum(exp(shifted), lastAxis)));
}

/** -logSoftmax(logits)[i, targets[i]] in nats, [n]. The target's entry is picked with a one-hot matrix. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const [n, V] = logits.shape;
  const oneHot = new Float32Array(n * V);
  targets.readSync().forEach((target, i) => {
    oneHot[i * V + target] = 1;
  });
  return neg(sum(mul(logSoftmax(logits), tensor(oneHot, [n, V], { backend: logits.backend })), { axes: -1 }));
}

/** y = x / sqrt(mean(x^2) + eps) * w, x [..., C], w [C] */
export function rmsNorm(x: Tensor, w: Tensor, eps = 1e-5): Tensor {
  return mul(div(x, sqrt(affine(mean(mul(x, x), lastAxis), 1, eps))), w);
}

/** y = sum of (x - mean)^2 / max(0, n - correction) over the last axis, which stays with size 1 */
export function variance(x: Tensor, correction = 1): Tensor {
  const d = sub(x, mean(x, lastAxis));
  return affine(sum(mul(d, d), lastAxis), 1 / Math.max(0, x.shape[x.rank - 1] - correction));
}

/** y = a sigmoid(a) b */
export const swiGlu = (a: Tensor, b: Tensor): Tensor => mul(mul(a, sigmoid(a)), b);

/** y[i] = sum over g of table[ids[i,g]]. A dropped id (-1) reads row 0 and is multiplied by 0. */
export function embeddingBag(table: Tensor, ids: Tensor): Tensor {
  const { backend } = table;
  const [n, G] = ids.shape;
  const flat = ids.readSync() as Int32Array;
  let total = zeros([n, table.shape[1]], { backend });
  // A table without rows has only dropped ids.
  for (let g = 0; g < G && table.shape[0] > 0; g++) {
    const column = Int32Array.from({ length: n }, (_, i) => flat[i * G + g]);
    const read = column.map((id) => Math.max(id, 0));
    const rows = gatherRows(table, tensor(read, undefined, { backend }));
    const kept = Float32Array.from(column, (id) => (id < 0 ? 0 : 1));
    total = add(total, mul(rows, tensor(kept, [n, 1], { backend })));
  }
  return total;
}

/** Segment by segment. An empty one gives zeros. */
export function segmentMax(x: Tensor, starts: Tensor): Tensor {
  const bounds = starts.readSync();
  const C = x.shape[1];
  const rows = Array.from(bounds.subarray(1), (end, p) =>
    end > bounds[p]
      ? max(slice(x, [bounds[p], 0], [end, C]), { axes: 0, keepDims: true })
      : zeros([1, C], { backend: x.backend }),
  );
  return rows.length === 0 ? zeros([0, C], { backend: x.backend }) : concat(rows);
}

/**
 * softmax(q k^T / sqrt(D) + mask) v per head, with a dense mask [n, m] of 0 and -1e30. It is not -Infinity, because a row without keys would
 * then be NaN. Such rows are multiplied by 0 instead.
 */
export function intervalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  bounds: { lo: Tensor; hi: Tensor },
  heads: number,
  kvHeads: number = heads,
): Tensor {
  const [n, m] = [q.shape[0], k.shape[0]];
  const D = q.shape[1] / heads;
  const lo = bounds.lo.readSync();
  const hi = bounds.hi.readSync();
  const mask = new Float32Array(n * m).fill(-1e30);
  const visible = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    mask.fill(0, i * m + lo[i], i * m + Math.max(lo[i], hi[i]));
    visible[i] = hi[i] > lo[i] ? 1 : 0;
  }
  const maskTensor = tensor(mask, [n, m], { backend: q.backend });
  const rows = tensor(visible, [n, 1], { backend: q.backend });
  const column = (x: Tensor, h: number) => slice(x, [0, h * D], [x.shape[0], (h + 1) * D]);
  const outs: Tensor[] = [];
  for (let h = 0; h < heads; h++) {
    const kv = Math.floor((h * kvHeads) / heads);
    const scores = affine(matmul(column(q, h), column(k, kv), { transposeB: true }), 1 / Math.sqrt(D));
    outs.push(mul(matmul(softmax(add(scores, maskTensor)), column(v, kv)), rows));
  }
  return reshape(concat(outs, 1), [n, heads * D]);
}
