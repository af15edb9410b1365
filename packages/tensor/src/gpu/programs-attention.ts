/** @file How interval attention runs on the device: scores in a rectangle, then sums along its lines. */
import type { Operand } from '../backend.ts';
import type { AttentionAttrs } from '../contract.ts';
import { sizeOf } from '../shape.ts';
import { type Calls, cellOf, line, rows } from './calls.ts';
import { type Cell, hostValues } from './cell.ts';
import type { Program } from './programs-shape.ts';
import * as source from './sources-attention.ts';

/** The rectangle of scores of one call. */
interface Rectangle {
  /** Lines: one per query and head. */
  readonly lines: number;
  /** The longest interval. */
  readonly W: number;
  readonly D: number;
  /** heads, kvHeads, D, W, as the kernels want them. */
  readonly sizes: readonly number[];
  readonly perLine: readonly number[];
  readonly perColumn: readonly number[];
}

function rectangleOf(calls: Calls, q: Operand, lo: Operand, hi: Operand, a: AttentionAttrs): Rectangle {
  const [n, width] = q.shape;
  const D = width / a.heads;
  const [from, to] = [hostValues(cellOf(lo)), hostValues(cellOf(hi))];
  let longest = 0;
  for (let i = 0; i < n; i++) longest = Math.max(longest, to[i] - from[i]);
  const W = calls.queue.driver.round(longest);
  const group = a.heads / a.kvHeads;
  return {
    lines: n * a.heads,
    W: longest === 0 ? 0 : W,
    D,
    sizes: [a.heads, a.kvHeads, D, W],
    perLine: [1 / a.heads, 1 / group],
    perColumn: [1 / D, 1 / group],
  };
}

const intervalAttention: Program<'intervalAttention'> = (calls, [out, lse], [q, k, v, lo, hi], a) => {
  if (sizeOf(q.shape) === 0) return calls.fill(cellOf(lse), 0);
  const { lines, W, sizes, perLine, perColumn } = rectangleOf(calls, q, lo, hi, a);
  if (W === 0) {
    calls.fill(cellOf(out), 0);
    return calls.fill(cellOf(lse), 0);
  }
  const [cq, ck, cv, cl, ch] = [q, k, v, lo, hi].map(cellOf);
  const ends = [a.heads, W, perLine[0]];
  const s = calls.make(source.scores, rows(W, lines), [cq, ck, cl, ch], [...sizes, ...perLine, a.scale]);
  const max = calls.make(source.scoreMax, line(lines), [s, cl, ch], ends);
  const sum = calls.make(source.scoreSum, line(lines), [s, max, cl, ch], ends);
  const p = calls.make(source.probabilities, rows(W, lines), [s, max, sum], [W]);
  calls.into(cellOf(out), source.attended, rows(q.shape[1], q.shape[0]), [p, cv, cl, ch], [...sizes, ...perColumn]);
  calls.into(cellOf(lse), source.logSumExp, line(lines), [max, sum]);
};

/** For each key the first query that sees it, and the first after these that does not. */
function seenBy(lo: Int32Array, hi: Int32Array, m: number): { from: Int32Array; to: Int32Array } {
  const from = new Int32Array(m);
  const to = new Int32Array(m);
  const n = lo.length;
  for (let j = 0, begin = 0, end = 0; j < m; j++) {
    while (begin < n && hi[begin] <= j) begin++;
    while (end < n && lo[end] <= j) end++;
    from[j] = begin;
    to[j] = Math.max(begin, end);
  }
  return { from, to };
}

const intervalAttentionBackward: Program<'intervalAttentionBackward'> = (
  calls,
  [dq, dk, dv],
  [q, k, v, lo, hi, out, lse, g],
  a,
) => {
  const rectangle = rectangleOf(calls, q, lo, hi, a);
  const { lines, W, D, sizes, perLine, perColumn } = rectangle;
  if (sizeOf(q.shape) === 0 || W === 0) {
    for (const d of [dq, dk, dv]) calls.fill(cellOf(d), 0);
    return;
  }
  const [cq, ck, cv, cl, ch, cg] = [q, k, v, lo, hi, g].map(cellOf);
  const [n, width] = q.shape;
  const [m, shared] = k.shape;
  const scalars = [...sizes, ...perLine, a.scale];
  const p = calls.make(source.recalled, rows(W, lines), [cq, ck, cellOf(lse), cl, ch], scalars);
  const share = calls.make(source.outputShare, line(lines), [cg, cellOf(out)], [D]);
  const s = calls.make(source.scoreGradient, rows(W, lines), [p, cg, cv, share, cl, ch], scalars);
  calls.into(cellOf(dq), source.queryGradient, rows(width, n), [s, ck, cl, ch], [...sizes, ...perColumn]);
  const pair = `${ch.id} ${m}`;
  const from = calls.table(cl, `seen from ${pair}`, (host) => seenBy(host, hostValues(ch), m).from);
  const to = calls.table(cl, `seen to ${pair}`, (host) => seenBy(host, hostValues(ch), m).to);
  const gather = (target: Cell, weights: Cell, x: Cell) =>
    calls.into(
      target,
      source.keyGradient,
      rows(shared, m),
      [weights, x, cl, from, to],
      [a.heads, a.heads / a.kvHeads, D, W, 1 / D],
    );
  gather(cellOf(dk), s, cq);
  gather(cellOf(dv), p, cg);
};

export const attentionPrograms = { intervalAttention, intervalAttentionBackward };
