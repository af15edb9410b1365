/** @file How matrix products, rows of tables, the layers of a transformer and the optimiser run on the device. */
import type { Operand } from '../backend.ts';
import type { AdamWAttrs } from '../contract.ts';
import { sizeOf } from '../shape.ts';
import { type Calls, cellOf, line, rows } from './calls.ts';
import { type Cell, hostValues } from './cell.ts';
import type { Program } from './programs-shape.ts';
import * as source from './sources-network.ts';
import * as rowSource from './sources-rows.ts';

/** Rows of the result from which a copy of b, transposed so that neighbouring threads read neighbours, pays. */
const MANY_ROWS = 64;
/** A GPU wants this many threads. Sums longer than `PIECE` are cut into pieces, side by side, until there are as many. */
const THREADS = 2 ** 16;
const PIECE = 256;

const matmul: Program<'matmul'> = (calls, [y], [a, b], { transposeA, transposeB }) => {
  const [M, N] = y.shape.slice(-2);
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  const matrices = sizeOf(y.shape.slice(0, -2));
  if (sizeOf(y.shape) === 0) return;
  if (K === 0) return calls.fill(cellOf(y), 0);
  const aStrides = transposeA ? [1, M] : [K, 1]; // row, column
  if (N % 4 !== 0 || !calls.queue.driver.tiles) {
    const strides = [M * K, ...aStrides, K * N, ...(transposeB ? [1, K] : [N, 1])];
    const scalars = [K, ...strides, M, Math.floor(K / 4), 1 / M];
    return calls.into(cellOf(y), source.matmulPlain, rows(N, matrices * M), [a, b].map(cellOf), scalars);
  }
  const turned = transposeB && M >= MANY_ROWS;
  const factors = [cellOf(a), turned ? calls.transposed(cellOf(b), matrices, N, K) : cellOf(b)];
  const bStrides = transposeB && !turned ? [1, K] : [N, 1];
  const wanted = matrices > 1 ? 1 : Math.min(Math.ceil(THREADS / (M * (N / 4))), Math.floor(K / PIECE));
  if (wanted <= 1) {
    const scalars = [K, M * K, ...aStrides, K * N, ...bStrides, K * matrices];
    return calls.into(cellOf(y), source.matmulTile, { grid: 'tiles', columns: N, rows: M, matrices }, factors, scalars);
  }
  const length = Math.ceil(K / wanted);
  const pieces = Math.ceil(K / length);
  const scalars = [length, length * aStrides[1], ...aStrides, length * bStrides[0], ...bStrides, K];
  const parts = calls.make(
    source.matmulTile,
    { grid: 'tiles', columns: N, rows: M, matrices: pieces },
    factors,
    scalars,
  );
  calls.fold('sum', cellOf(y), parts, 1, pieces, M * N);
};

// ----- tables and segments --------------------------------------------------------------------------------------------

/** Positions of each id, and where those of one id begin: ids [n] -> entries [n], starts [rows + 1]. */
function sortedPlaces(ids: Int32Array, count: number): { entries: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (const id of ids) starts[id + 1]++;
  for (let r = 0; r < count; r++) starts[r + 1] += starts[r];
  const next = starts.slice();
  const entries = new Int32Array(ids.length);
  ids.forEach((id, i) => {
    entries[next[id]++] = i;
  });
  return { entries, starts };
}

const scatterAddRows: Program<'scatterAddRows'> = (calls, [y], [x, ids], { rows: count }) => {
  const C = x.shape[1];
  if (x.shape[0] === 0) return calls.fill(cellOf(y), 0);
  const of = cellOf(ids);
  const entries = calls.table(of, `entries ${count}`, (host) => sortedPlaces(host, count).entries);
  const starts = calls.table(of, `starts ${count}`, (host) => sortedPlaces(host, count).starts);
  calls.into(cellOf(y), rowSource.segmentGatherSum, rows(C, count), [cellOf(x), entries, starts], [C]);
};

/** For each of n rows its segment, or -1. */
function segmentOfRow(starts: Int32Array, n: number): Int32Array {
  const of = new Int32Array(n).fill(-1);
  for (let p = 0; p + 1 < starts.length; p++) of.fill(p, starts[p], Math.max(starts[p], starts[p + 1]));
  return of;
}

const segmentMaxBackward: Program<'segmentMaxBackward'> = (calls, [dx], [x, peaks, g, starts]) => {
  const [n, C] = x.shape;
  const [P] = peaks.shape;
  if (P === 0) return calls.fill(cellOf(dx), 0);
  const ties = calls.make(rowSource.segmentTies, rows(C, P), [cellOf(x), cellOf(peaks), cellOf(starts)], [C]);
  const segment = calls.table(cellOf(starts), `segment of ${n}`, (host) => segmentOfRow(host, n));
  const arrays = [cellOf(x), cellOf(peaks), cellOf(g), ties, segment];
  calls.into(cellOf(dx), rowSource.segmentMaxBackward, rows(C, n), arrays, [C]);
};

// ----- layers ---------------------------------------------------------------------------------------------------------

function rowSizes(x: Operand): [n: number, C: number] {
  const C = x.shape[x.shape.length - 1];
  return [C === 0 ? 0 : sizeOf(x.shape) / C, C];
}

/** Largest value and ln sum_c e^(x_c - max) of each row: apart, since both may be huge and their difference is not. */
function rowStatistics(calls: Calls, x: Cell, n: number, C: number): { max: Cell; logSum: Cell } {
  const max = calls.make(rowSource.foldLast.max, line(n), [x], [C]);
  return { max, logSum: calls.make(source.rowLogSum, line(n), [x, max], [C]) };
}

const rmsNormBackward: Program<'rmsNormBackward'> = (calls, [dx, dw], [x, w, g], { eps }) => {
  const [n, C] = rowSizes(x);
  if (C === 0) return;
  if (n === 0) return calls.fill(cellOf(dw), 0);
  const [cx, cw, cg] = [cellOf(x), cellOf(w), cellOf(g)];
  const r = calls.make(source.inverseRms, line(n), [cx], [C, eps]);
  const share = calls.make(source.rmsShare, line(n), [cx, cw, cg, r], [C]);
  calls.into(cellOf(dx), source.rmsNormBackward, rows(C, n), [cx, cw, cg, r, share], [C]);
  const pieces = Math.min(64, Math.ceil(n / 64));
  const down = Math.ceil(n / pieces);
  if (pieces === 1) return calls.into(cellOf(dw), source.rmsWeights, rows(C, 1), [cx, cg, r], [C, down, n]);
  const parts = calls.make(source.rmsWeights, rows(C, pieces), [cx, cg, r], [C, down, n]);
  calls.fold('sum', cellOf(dw), parts, 1, pieces, C);
};

const rope: Program<'rope'> = (calls, [y], [x, cos, sin, positions], { headDim: D, inverse }) => {
  const [n, width] = x.shape;
  const heads = width / D;
  // One row per head: its position is that of the row it came from.
  const perHead = calls.table(cellOf(positions), `each ${heads} times`, (host) =>
    Int32Array.from({ length: host.length * heads }, (_, i) => host[Math.floor(i / heads)]),
  );
  const arrays = [cellOf(x), cellOf(cos), cellOf(sin), perHead];
  calls.into(cellOf(y), source.rope, rows(D, n * heads), arrays, [D, D / 2, inverse ? -1 : 1]);
};

// ----- optimiser ------------------------------------------------------------------------------------------------------

function corrections(a: AdamWAttrs): number[] {
  return [a.lr, 1 / (1 - a.beta1 ** a.step), 1 / (1 - a.beta2 ** a.step), a.eps, 1 - a.lr * a.weightDecay];
}

const adamw: Program<'adamw'> = (calls, _, [p, m, v, g, scale], a) => {
  const all = line(sizeOf(p.shape));
  const [cp, cm, cv, cg, cs] = [p, m, v, g, scale].map(cellOf);
  calls.into(cm, source.firstMoment, all, [cm, cg, cs], [a.beta1, 1 - a.beta1]);
  calls.into(cv, source.secondMoment, all, [cv, cg, cs], [a.beta2, 1 - a.beta2]);
  calls.into(cp, source.adamwStep, all, [cp, cm, cv], corrections(a));
};

/** Rows of a table replaced in place where the device can copy into it, else by a pass over the table. */
function putRows(calls: Calls, table: Operand, part: Cell, ids: Int32Array): void {
  const [V, C] = table.shape;
  const { queue } = calls;
  if (queue.driver.putRows) {
    queue.putRows(cellOf(table), part, ids, C);
    return;
  }
  const places = new Float32Array(V).fill(-1);
  ids.forEach((id, u) => {
    places[id] = u;
  });
  calls.into(cellOf(table), rowSource.putRows, rows(C, V), [cellOf(table), part, calls.upload(places)], [C]);
}

/** The touched rows of a table, as a buffer of their own. */
const touchedRows = (calls: Calls, table: Operand, ids: Operand): Cell =>
  calls.make(rowSource.gatherRows, rows(table.shape[1], ids.shape[0]), [cellOf(table), cellOf(ids)], [table.shape[1]]);

/** The touched rows alone are computed, then copied into the tables. */
const adamwRows: Program<'adamwRows'> = (calls, _, [p, m, v, ids, g, scale], a) => {
  const [U, C] = g.shape;
  if (U * C === 0) return;
  const touched = hostValues(cellOf(ids));
  const all = line(U * C);
  const [cg, cs] = [cellOf(g), cellOf(scale)];
  const m1 = calls.make(source.firstMoment, all, [touchedRows(calls, m, ids), cg, cs], [a.beta1, 1 - a.beta1]);
  const v1 = calls.make(source.secondMoment, all, [touchedRows(calls, v, ids), cg, cs], [a.beta2, 1 - a.beta2]);
  const p1 = calls.make(source.adamwStep, all, [touchedRows(calls, p, ids), m1, v1], corrections(a));
  putRows(calls, m, m1, touched);
  putRows(calls, v, v1, touched);
  putRows(calls, p, p1, touched);
};

const adamwCatchUp: Program<'adamwCatchUp'> = (calls, _, [p, m, v, ids, factors]) => {
  const [U, C] = [ids.shape[0], p.shape[1]];
  if (U * C === 0) return;
  const touched = hostValues(cellOf(ids));
  const [cp, cm, cv] = [p, m, v].map((table) => touchedRows(calls, table, ids));
  const cf = cellOf(factors);
  const p1 = calls.make(source.caughtUp, rows(C, U), [cp, cm, cv, cf], [C]);
  const decayed = (x: Cell, which: number) => calls.make(source.decayedRows, rows(C, U), [x, cf], [C, which]);
  const m1 = decayed(cm, 1);
  const v1 = decayed(cv, 2);
  putRows(calls, p, p1, touched);
  putRows(calls, m, m1, touched);
  putRows(calls, v, v1, touched);
};

export const networkPrograms = {
  matmul,
  gatherRows: ((calls, [y], [table, ids]) => {
    const [n, C] = y.shape;
    calls.into(cellOf(y), rowSource.gatherRows, rows(C, n), [cellOf(table), cellOf(ids)], [C]);
  }) as Program<'gatherRows'>,
  scatterAddRows,
  embeddingBag: ((calls, [y], [table, ids]) => {
    const [n, C] = y.shape;
    calls.into(cellOf(y), rowSource.embeddingBag, rows(C, n), [cellOf(table), cellOf(ids)], [C, ids.shape[1]]);
  }) as Program<'embeddingBag'>,
  segmentGatherSum: ((calls, [y], [x, entries, starts]) => {
    const [U, C] = y.shape;
    calls.into(cellOf(y), rowSource.segmentGatherSum, rows(C, U), [x, entries, starts].map(cellOf), [C]);
  }) as Program<'segmentGatherSum'>,
  segmentMax: ((calls, [y], [x, starts]) => {
    const [P, C] = y.shape;
    calls.into(cellOf(y), rowSource.segmentMax, rows(C, P), [cellOf(x), cellOf(starts)], [C]);
  }) as Program<'segmentMax'>,
  segmentMaxBackward,
  writeRows: ((calls, _, [table, ids, x]) => {
    if (sizeOf(x.shape) > 0) putRows(calls, table, cellOf(x), hostValues(cellOf(ids)));
  }) as Program<'writeRows'>,
  softmax: ((calls, [y], [x]) => {
    const [n, C] = rowSizes(x);
    const { max, logSum } = rowStatistics(calls, cellOf(x), n, C);
    calls.into(cellOf(y), source.softmax, rows(C, n), [cellOf(x), max, logSum], [C]);
  }) as Program<'softmax'>,
  logSoftmax: ((calls, [y], [x]) => {
    const [n, C] = rowSizes(x);
    const { max, logSum } = rowStatistics(calls, cellOf(x), n, C);
    calls.into(cellOf(y), source.logSoftmax, rows(C, n), [cellOf(x), max, logSum], [C]);
  }) as Program<'logSoftmax'>,
  crossEntropy: ((calls, [loss], [logits, targets]) => {
    const [n, V] = logits.shape;
    const { max, logSum } = rowStatistics(calls, cellOf(logits), n, V);
    calls.into(cellOf(loss), source.crossEntropy, line(n), [cellOf(logits), max, logSum, cellOf(targets)], [V]);
  }) as Program<'crossEntropy'>,
  crossEntropyBackward: ((calls, [dx], [logits, targets, g]) => {
    const [n, V] = logits.shape;
    const { max, logSum } = rowStatistics(calls, cellOf(logits), n, V);
    const arrays = [cellOf(logits), max, logSum, cellOf(targets), cellOf(g)];
    calls.into(cellOf(dx), source.crossEntropyBackward, rows(V, n), arrays, [V]);
  }) as Program<'crossEntropyBackward'>,
  rmsNorm: ((calls, [y], [x, w], { eps }) => {
    const [n, C] = rowSizes(x);
    if (n === 0) return;
    const r = calls.make(source.inverseRms, line(n), [cellOf(x)], [C, eps]);
    calls.into(cellOf(y), source.rmsNorm, rows(C, n), [cellOf(x), r, cellOf(w)], [C]);
  }) as Program<'rmsNorm'>,
  rmsNormBackward,
  rope,
  adamw,
  adamwRows,
  adamwCatchUp,
  lerp: ((calls, _, [a, b], { weight }) =>
    calls.into(cellOf(a), source.lerp, line(sizeOf(a.shape)), [cellOf(a), cellOf(b)], [weight])) as Program<'lerp'>,
};
