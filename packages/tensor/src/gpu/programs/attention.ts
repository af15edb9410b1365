/**
 * @file How interval attention runs on the device: scores in a rectangle, then sums along its lines. A rectangle is bounded, so many
 * queries are taken in blocks, one after the other: each call of a block hands on what the blocks before it gave.
 */
import type { Operand } from '../../backend.ts';
import type { AttentionAttrs } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import { type Calls, cellOf, line, rows } from '../calls.ts';
import { type Cell, hostValues } from '../cell.ts';
import * as kernels from '../kernels/attention.ts';
import { foldLast } from '../kernels/reduce.ts';
import type { Program } from './program.ts';

/** Elements of a rectangle: 32 MB. One query with a longer interval than that many keys still gets one of its own. */
export const RECTANGLE = 2 ** 23;
/** Lines of a rectangle: kernels tell rows apart by divisions in floats, and grids end at 65,535 groups of 8. */
const LINES = 2 ** 18;
/** Lines longer than this are folded by several threads. */
const LONG = 256;
const PARTS = 16;
/** Queries from which a transposed copy of the keys pays. */
const MANY = 16;

/** Neighbouring queries whose scores fit into one rectangle. */
interface Block {
  readonly first: number;
  readonly last: number;
  /** The longest interval, or a little more; at least 1. */
  readonly W: number;
}

/** The blocks, none if no query sees a key. */
function blocksOf(calls: Calls, lo: Operand, hi: Operand, heads: number): Block[] {
  const { driver } = calls.queue;
  const [from, to] = [hostValues(cellOf(lo)), hostValues(cellOf(hi))];
  if (to.every((end, i) => end === from[i])) return [];
  const most = Math.min(RECTANGLE, driver.largest);
  const blocks: Block[] = [];
  for (let first = 0; first < from.length; ) {
    let W = 1;
    let last = first;
    for (; last < from.length; last++) {
      const length = to[last] - from[last];
      const wider = length > W ? driver.round(length) : W;
      const lines = (last + 1 - first) * heads;
      if (last > first && (lines * wider > most || lines > LINES)) break;
      W = wider;
    }
    blocks.push({ first, last, W });
    first = last;
  }
  return blocks;
}

/** x [m, C] as the threads of a line read it: its cell, the step from row to row and the one from column to column. */
function sideBySide(calls: Calls, x: Operand, queries: number): { cell: Cell; steps: readonly number[] } {
  const [m, C] = x.shape;
  if (queries < MANY) return { cell: cellOf(x), steps: [C, 1] };
  return { cell: calls.transposed(cellOf(x), 1, m, C), steps: [1, m] };
}

/** Sizes of a call, and the scalars that its kernels take. */
function sizesOf(q: Operand, a: AttentionAttrs) {
  const [n, width] = q.shape;
  const D = width / a.heads;
  const group = a.heads / a.kvHeads;
  const perLine = [1 / a.heads, 1 / group, a.scale];
  return { n, width, D, group, perLine, perColumn: [1 / D, 1 / group] };
}

const intervalAttention: Program<'intervalAttention'> = (calls, [out, lse], [q, k, v, lo, hi], a) => {
  const blocks = sizeOf(q.shape) === 0 ? [] : blocksOf(calls, lo, hi, a.heads);
  if (blocks.length === 0) {
    calls.fill(cellOf(out), 0);
    return calls.fill(cellOf(lse), 0);
  }
  const { heads, kvHeads } = a;
  const { n, width, D, perLine, perColumn } = sizesOf(q, a);
  const [cq, cv, cl, ch, cout, clse] = [q, v, lo, hi, out, lse].map(cellOf);
  const keys = sideBySide(calls, k, n);
  const block = ({ first, last, W }: Block) => {
    const lines = (last - first) * heads;
    const scalars = [heads, D, first, ...keys.steps, ...perLine];
    const s = calls.make(kernels.scores, rows(W, lines), [cq, keys.cell, cl, ch], scalars);
    const parts = W > LONG ? PARTS : 1;
    const walk = [heads, first, W, parts, Math.ceil(W / parts), 1 / heads];
    const fold = (kind: 'max' | 'sum', x: Cell): Cell =>
      parts === 1 ? x : calls.make(foldLast[kind], line(lines), [x], [parts]);
    const max = fold('max', calls.make(kernels.scoreMax, rows(parts, lines), [s, cl, ch], walk));
    const sum = fold('sum', calls.make(kernels.scoreSum, rows(parts, lines), [s, max, cl, ch], walk));
    const p = calls.make(kernels.probabilities, rows(W, lines), [s, max, sum], [W]);
    const sizes = [heads, kvHeads, D, W, first, last, ...perColumn];
    // What the blocks before gave; the first reads none of it, so anything stands in its place.
    const [before, lseBefore] = first === 0 ? [cq, max] : [cout, clse];
    calls.into(cout, kernels.weightedSum, rows(width, n), [p, cv, cl, ch, before], sizes);
    calls.into(clse, kernels.logSumExp, line(n * heads), [max, sum, lseBefore], [first * heads, lines]);
  };
  for (const b of blocks) calls.within(() => block(b));
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
  const blocks = sizeOf(q.shape) === 0 ? [] : blocksOf(calls, lo, hi, a.heads);
  if (blocks.length === 0) {
    for (const d of [dq, dk, dv]) calls.fill(cellOf(d), 0);
    return;
  }
  const { heads, kvHeads } = a;
  const { n, width, D, group, perLine, perColumn } = sizesOf(q, a);
  const [cq, ck, cl, ch, cg, clse] = [q, k, lo, hi, g, lse].map(cellOf);
  const [cdq, cdk, cdv] = [dq, dk, dv].map(cellOf);
  const [m, kvWidth] = k.shape;
  const [keys, values] = [sideBySide(calls, k, n), sideBySide(calls, v, n)];
  const share = calls.make(kernels.outputShare, line(n * heads), [cg, cellOf(out)], [D]);
  const pair = `${ch.id} ${m}`;
  const from = calls.table(cl, `seen from ${pair}`, (host) => seenBy(host, hostValues(ch), m).from);
  const to = calls.table(cl, `seen to ${pair}`, (host) => seenBy(host, hostValues(ch), m).to);
  const block = ({ first, last, W }: Block) => {
    const lines = rows(W, (last - first) * heads);
    const p = calls.make(
      kernels.recalled,
      lines,
      [cq, keys.cell, clse, cl, ch],
      [heads, D, first, ...keys.steps, ...perLine],
    );
    const s = calls.make(
      kernels.scoreGradient,
      lines,
      [p, cg, values.cell, share, cl, ch],
      [heads, D, first, ...values.steps, W, ...perLine],
    );
    const sizes = [heads, kvHeads, D, W, first, last, ...perColumn];
    calls.into(cdq, kernels.weightedSum, rows(width, n), [s, ck, cl, ch, first === 0 ? cq : cdq], sizes);
    const gather = (target: Cell, weights: Cell, x: Cell) => {
      const arrays = [weights, x, cl, from, to, first === 0 ? ck : target];
      calls.into(target, kernels.keyGradient, rows(kvWidth, m), arrays, [
        kvWidth,
        heads,
        group,
        D,
        W,
        first,
        last,
        1 / D,
      ]);
    };
    gather(cdk, s, cq);
    gather(cdv, p, cg);
  };
  for (const b of blocks) calls.within(() => block(b));
};

export const attentionPrograms = { intervalAttention, intervalAttentionBackward };
