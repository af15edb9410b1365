/**
 * @file How each kernel of the contract is run by the wasm kernels: its arguments, in the order the assembly reads them.
 *
 * An entry returns false for a form it has no fast code for (say, broadcasting over three axes); the definition then runs on the
 * same memory, as it does for the kernels that have no entry.
 */
import type { Operand } from '../backend.ts';
import type { AdamWAttrs, KernelAttrs, KernelName, None } from '../contract.ts';
import { integerPower } from '../integer-power.ts';
import { sizeOf } from '../shape.ts';
import { binaryOps, collapseBroadcast, unaryOps } from './broadcast.ts';
import { address, type Machine } from './machine.ts';

type Run<Attrs> = (machine: Machine, outs: readonly Operand[], ins: readonly Operand[], attrs: Attrs) => boolean;
type Native<K extends KernelName> = Run<KernelAttrs[K]>;

const rowsAndColumns = (x: Operand): [rows: number, columns: number] => {
  const columns = x.shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : sizeOf(x.shape) / columns, columns];
};

function unary(op: string, scale = 0, shift = 0): Run<None> {
  const code = unaryOps.indexOf(op);
  return (m, [y], [x]) => runUnary(m, code, y, x, scale, shift);
}

function runUnary(m: Machine, code: number, y: Operand, x: Operand, scale: number, shift: number): boolean {
  const { ints, floats } = m;
  const n = sizeOf(x.shape);
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = code;
  ints[3] = n;
  floats[4] = scale;
  floats[5] = shift;
  m.call('unary', n);
  return true;
}

function runBinary(m: Machine, code: number, y: Operand, a: Operand, b: Operand): boolean {
  const plan = collapseBroadcast(y.shape, a.shape, b.shape);
  if (plan === undefined) return false;
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(a);
  ints[2] = address(b);
  ints[3] = code;
  ints[4] = plan.rows;
  ints[5] = plan.columns;
  ints[6] = plan.aRow;
  ints[7] = plan.aColumn;
  ints[8] = plan.bRow;
  ints[9] = plan.bColumn;
  m.call('binary', plan.rows * plan.columns);
  return true;
}

function binary(op: string): Run<None> {
  const code = binaryOps.indexOf(op);
  return (m, [y], [a, b]) => runBinary(m, code, y, a, b);
}

/** Kernels of the form (output, input, rows, columns). */
function rowwise(kernel: string): Run<None> {
  return (m, [y], [x]) => {
    const [rows, columns] = rowsAndColumns(x);
    const { ints } = m;
    ints[0] = address(y);
    ints[1] = address(x);
    ints[2] = rows;
    ints[3] = columns;
    m.call(kernel, rows * columns * 8);
    return true;
  };
}

const matmul: Native<'matmul'> = (m, [y], [a, b], { transposeA, transposeB }) => {
  let M = y.shape[y.shape.length - 2];
  let N = y.shape[y.shape.length - 1];
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  let batches = 1;
  for (let i = 0; i < y.shape.length - 2; i++) batches *= y.shape[i];
  const { ints } = m;
  let [pa, pb] = [address(a), address(b)];
  let [aStep, bStep] = [M * K * 4, K * N * 4];
  let [am, ak] = transposeA ? [4, M * 4] : [K * 4, 4];
  let [bk, bn] = transposeB ? [4, K * 4] : [N * 4, 4];
  if (N === 1 && M > 1) {
    // A matrix times a column is a row times the transposed matrix, and the result lies in memory the same way.
    [pa, pb, am, ak, bk, bn, M, N, aStep, bStep] = [pb, pa, bn, bk, ak, am, N, M, bStep, aStep];
  }
  ints[0] = pa;
  ints[1] = pb;
  ints[2] = address(y);
  ints[3] = M;
  ints[4] = N;
  ints[5] = K;
  ints[6] = am;
  ints[7] = ak;
  ints[8] = bk;
  ints[9] = bn;
  ints[10] = N * 4;
  ints[11] = 0;
  ints[12] = batches;
  ints[13] = aStep;
  ints[14] = bStep;
  ints[15] = M * N * 4;
  m.call('matmul', batches * M * N * K);
  return true;
};

/** Sums over one run of neighbouring axes, as [outer, summed, inner]. */
const sum: Native<'sum'> = (m, [y], [x], { axes }) => {
  const rank = x.shape.length;
  const sorted = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (sorted.some((a, i) => a !== sorted[0] + i)) return false;
  const first = sorted.length === 0 ? rank : sorted[0];
  const last = first + sorted.length;
  const outer = sizeOf(x.shape.slice(0, first));
  const n = sizeOf(x.shape.slice(first, last));
  const inner = sizeOf(x.shape.slice(last));
  if (outer === 1 && inner === 1) return sumAll(m, y, x, n, 0);
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = outer;
  ints[3] = n;
  ints[4] = inner;
  m.call(inner === 1 ? 'sumLast' : 'sumMiddle', outer * n * inner);
  return true;
};

function sumAll(m: Machine, y: Operand, x: Operand, n: number, squares: 0 | 1): boolean {
  const chunks = Math.ceil(n / 16384);
  m.withTemporary(chunks * 8, (partials) => {
    const { ints } = m;
    ints[0] = partials;
    ints[1] = address(x);
    ints[2] = n;
    ints[3] = squares;
    m.call('sumChunks', n);
    ints[0] = address(y);
    ints[1] = partials;
    ints[2] = chunks;
    m.call('sumPartials', chunks);
  });
  return true;
}

/** Runs of rows whose share of dw is summed apart: fixed, so that the bits do not depend on the threads. */
const NORM_CHUNKS = 16;

const rmsNormBackward: Native<'rmsNormBackward'> = (m, [dx, dw], [x, w, g], { eps }) => {
  const [rows, C] = rowsAndColumns(x);
  const width = (C + 3) & ~3;
  m.withTemporary(NORM_CHUNKS * width * 4, (partials) => {
    const { ints, floats } = m;
    ints[0] = address(dx);
    ints[1] = partials;
    ints[2] = address(x);
    ints[3] = address(w);
    ints[4] = address(g);
    ints[5] = rows;
    ints[6] = C;
    floats[7] = eps;
    ints[8] = NORM_CHUNKS;
    m.call('rmsNormBackward', rows * C * 2);
    ints[0] = address(dw);
    ints[1] = partials;
    ints[2] = NORM_CHUNKS;
    ints[3] = C;
    ints[4] = width;
    m.call('sumPartialRows', NORM_CHUNKS * C);
  });
  return true;
};

/** adamw's scalars from argument `at` on; see assembly/optimizer.ts. */
function putAdamW(m: Machine, at: number, a: AdamWAttrs): void {
  const { floats } = m;
  floats[at] = a.beta1;
  floats[at + 1] = 1 - a.beta1;
  floats[at + 2] = a.beta2;
  floats[at + 3] = 1 - a.beta2;
  floats[at + 4] = a.lr / (1 - integerPower(a.beta1, a.step));
  floats[at + 5] = 1 / (1 - integerPower(a.beta2, a.step));
  floats[at + 6] = a.eps;
  floats[at + 7] = 1 - a.lr * a.weightDecay;
}

/** Puts down the addresses of the operands one after the other, then whole numbers; returns the next free place. */
function put(m: Machine, operands: readonly Operand[], numbers: readonly number[]): number {
  let at = 0;
  for (const x of operands) m.ints[at++] = address(x);
  for (const n of numbers) m.ints[at++] = n;
  return at;
}

/** y [outer, part] copied from or to a longer row: the common form of slice and concat. */
function copyPieces(
  m: Machine,
  to: number,
  from: number,
  count: number,
  length: number,
  toStep: number,
  fromStep: number,
): void {
  const { ints } = m;
  ints[0] = to;
  ints[1] = from;
  ints[2] = count;
  ints[3] = length;
  ints[4] = toStep;
  ints[5] = fromStep;
  m.call('copyPieces', count * length);
}

/** Slices that cut at most one axis after the leading one copy pieces at even steps. */
const slice: Native<'slice'> = (m, [y], [x], { begin, end }) => {
  const rank = x.shape.length;
  let cut = rank;
  // The innermost axes taken whole belong to every piece.
  while (cut > 0 && begin[cut - 1] === 0 && end[cut - 1] === x.shape[cut - 1]) cut--;
  if (cut === 0) cut = Math.min(1, rank);
  if (rank === 0 || sizeOf(y.shape) === 0) return sizeOf(y.shape) === 0;
  const axis = cut - 1;
  // Before the axis that is cut, all axes must be whole, but for one that only shifts the beginning.
  let outer = 1;
  let offset = 0;
  const inner = sizeOf(x.shape.slice(cut));
  for (let i = 0; i < axis; i++) {
    const whole = begin[i] === 0 && end[i] === x.shape[i];
    if (!whole && outer !== 1) return false;
    outer *= end[i] - begin[i];
    offset = offset * x.shape[i] + begin[i];
  }
  const row = x.shape[axis] * inner;
  const length = (end[axis] - begin[axis]) * inner;
  const start = offset * row + begin[axis] * inner;
  copyPieces(m, address(y), address(x) + start * 4, outer, length, length, row);
  return true;
};

const concat: Native<'concat'> = (m, [y], ins, { axis }) => {
  const outer = sizeOf(y.shape.slice(0, axis));
  const row = sizeOf(y.shape.slice(axis));
  let column = 0;
  for (const x of ins) {
    const length = sizeOf(x.shape.slice(axis));
    copyPieces(m, address(y) + column * 4, address(x), outer, length, row, length);
    column += length;
  }
  return true;
};

/** Permutations that swap two neighbouring runs of axes behind some that stay: matrices transposed. */
const transpose: Native<'transpose'> = (m, [y], [x], { perm }) => {
  const rank = perm.length;
  let lead = 0;
  while (lead < rank && perm[lead] === lead) lead++;
  const split = perm[lead] ?? rank;
  for (let i = lead; i < rank; i++) {
    const expected = i - lead < rank - split ? split + (i - lead) : i - (rank - split);
    if (perm[i] !== expected) return false;
  }
  const batch = sizeOf(x.shape.slice(0, lead));
  const rows = sizeOf(x.shape.slice(lead, split));
  const columns = sizeOf(x.shape.slice(split));
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = batch;
  ints[3] = rows;
  ints[4] = columns;
  m.call('transpose', batch * rows * columns);
  return true;
};

/** The scratch of a thread holds heads up to this wide. */
const WIDEST_HEAD = 1024;

const intervalAttention: Native<'intervalAttention'> = (m, [out, lse], [q, k, v, lo, hi], a) => {
  const [n, width] = q.shape;
  const D = width / a.heads;
  if (D > WIDEST_HEAD) return false;
  const at = put(m, [out, lse, q, k, v, lo, hi], [n, a.heads, a.kvHeads, D]);
  m.floats[at] = a.scale;
  m.call('intervalAttention', a.pairs * width * 2);
  return true;
};

const intervalAttentionBackward: Native<'intervalAttentionBackward'> = (m, outs, ins, a) => {
  const [q, k, , lo, hi] = ins;
  const [n, width] = q.shape;
  const D = width / a.heads;
  if (D > WIDEST_HEAD) return false;
  m.withTemporary((n + 2) * 4, (starts) => {
    const segments = m.direct('findSegments', address(lo), address(hi), n, starts);
    const at = put(m, [...outs, ...ins], [n, k.shape[0], a.heads, a.kvHeads, D]);
    m.floats[at] = a.scale;
    m.ints[at + 1] = starts;
    m.ints[at + 2] = segments;
    m.call('intervalAttentionBackward', a.pairs * width * 5);
  });
  return true;
};

export const native: { readonly [K in KernelName]?: Native<K> } = {
  neg: unary('neg'),
  exp: unary('exp'),
  log: unary('log'),
  sqrt: unary('sqrt'),
  reciprocal: unary('reciprocal'),
  tanh: unary('tanh'),
  sigmoid: unary('sigmoid'),
  abs: unary('abs'),
  sign: unary('sign'),
  affine: (m, [y], [x], { scale, shift }) => runUnary(m, unaryOps.indexOf('affine'), y, x, scale, shift),
  dropout: (m, [y], [x], { rate, seed }) => {
    const n = sizeOf(x.shape);
    put(m, [y, x], [n, seed, Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1)]);
    m.floats[5] = 1 / (1 - rate);
    m.call('dropout', n * 4);
    return true;
  },
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  maximum: binary('maximum'),
  minimum: binary('minimum'),
  greater: binary('greater'),
  equal: binary('equal'),
  broadcastTo: (m, [y], [x]) => runBinary(m, binaryOps.indexOf('first'), y, x, x),
  sum,
  sumSquares: (m, [y], [x]) => sumAll(m, y, x, sizeOf(x.shape), 1),
  transpose,
  slice,
  concat,
  matmul,
  gatherRows: (m, [y], [table, ids]) => {
    const [n, C] = y.shape;
    put(m, [y, table, ids], [n, C]);
    m.call('gatherRows', n * C);
    return true;
  },
  scatterAddRows: (m, [y], [x, ids]) => {
    const [n, C] = x.shape;
    put(m, [y, x, ids], [n, y.shape[0], C]);
    m.call('scatterAddRows', (n + y.shape[0]) * C);
    return true;
  },
  embeddingBag: (m, [y], [table, ids]) => {
    const [n, G] = ids.shape;
    const C = y.shape[1];
    put(m, [y, table, ids], [n, C, G]);
    m.call('embeddingBag', n * C * G);
    return true;
  },
  segmentGatherSum: (m, [y], [x, entries, starts]) => {
    const [U, C] = y.shape;
    put(m, [y, x, entries, starts], [U, C]);
    m.call('segmentGatherSum', entries.shape[0] * C);
    return true;
  },
  segmentMax: (m, [y], [x, starts]) => {
    const [P, C] = y.shape;
    put(m, [y, x, starts], [P, C]);
    m.call('segmentMax', sizeOf(x.shape));
    return true;
  },
  segmentMaxBackward: (m, [dx], [x, y, g, starts]) => {
    const [P, C] = y.shape;
    put(m, [dx, x, y, g, starts], [x.shape[0], P, C]);
    m.call('segmentMaxBackward', sizeOf(x.shape) * 2);
    return true;
  },
  softmax: rowwise('softmax'),
  logSoftmax: rowwise('logSoftmax'),
  crossEntropy: (m, [loss], [logits, targets]) => {
    const [n, V] = logits.shape;
    put(m, [loss, logits, targets], [n, V]);
    m.call('crossEntropy', n * V * 8);
    return true;
  },
  crossEntropyBackward: (m, [dx], [logits, targets, g]) => {
    const [n, V] = logits.shape;
    put(m, [dx, logits, targets, g], [n, V]);
    m.call('crossEntropyBackward', n * V * 8);
    return true;
  },
  rmsNorm: (m, [y], [x, w], { eps }) => {
    const [rows, C] = rowsAndColumns(x);
    const at = put(m, [y, x, w], [rows, C]);
    m.floats[at] = eps;
    m.call('rmsNorm', rows * C);
    return true;
  },
  rmsNormBackward,
  rope: (m, [y], [x, cos, sin, positions], { headDim, inverse }) => {
    const [n, width] = x.shape;
    put(m, [y, x, cos, sin, positions], [n, width, headDim, inverse ? 1 : 0]);
    m.call('rope', n * width);
    return true;
  },
  swiGlu: (m, [y], [a, b]) => {
    const n = sizeOf(a.shape);
    put(m, [y, a, b], [n]);
    m.call('swiGlu', n * 8);
    return true;
  },
  swiGluBackward: (m, [da, db], [a, b, g]) => {
    const n = sizeOf(a.shape);
    put(m, [da, db, a, b, g], [n]);
    m.call('swiGluBackward', n * 10);
    return true;
  },
  intervalAttention,
  intervalAttentionBackward,
  adamw: (m, _, [p, mm, v, g, scale], attrs) => {
    const n = sizeOf(p.shape);
    putAdamW(m, put(m, [p, mm, v, g, scale], [n]), attrs);
    m.call('adamw', n * 4);
    return true;
  },
  adamwRows: (m, _, ins, attrs) => {
    const [U, C] = ins[4].shape;
    putAdamW(m, put(m, ins, [U, C]), attrs);
    m.call('adamwRows', U * C * 4);
    return true;
  },
  lerp: (m, _, [a, b], { weight }) => {
    const n = sizeOf(a.shape);
    put(m, [a, b], [n]);
    m.floats[3] = weight;
    m.call('lerp', n);
    return true;
  },
};
