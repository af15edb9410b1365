/** @file Op rows: interval attention, defined on the full matrix of scores with a 0/1 visibility for every pair. */

import type { AttentionAttrs } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, at, blank, f32, i32, magnitude, type OpRows, off, plain, range, tabulate } from './op-row.ts';
import { floats, rising } from './op-values.ts';

const attentionCases = (size: fc.Arbitrary<number>) =>
  fc
    .record({
      n: size,
      m: size,
      kvHeads: fc.integer({ min: 1, max: 2 }),
      group: fc.integer({ min: 1, max: 3 }),
      D: fc.integer({ min: 1, max: 5 }),
      usualScale: fc.boolean(),
      batchInvariant: fc.boolean(),
    })
    .chain(({ n, m, kvHeads, group, D, usualScale, batchInvariant }) =>
      fc
        .tuple(
          floats([n, kvHeads * group * D]),
          floats([m, kvHeads * D]),
          floats([m, kvHeads * D]),
          rising(n, m),
          rising(n, m),
          floats([n, kvHeads * group * D]),
        )
        .map(([q, k, v, lo, end, g]) => {
          const hi = end.map((e, i) => Math.max(e, lo[i]));
          const attrs: AttentionAttrs = {
            heads: kvHeads * group,
            kvHeads,
            scale: usualScale ? 1 / Math.sqrt(D) : 0.375,
            pairs: plain(hi.map((h, i) => h - lo[i])),
            ...(batchInvariant && { batchInvariant }),
          };
          return { ins: [q, k, v, i32(lo), i32(hi)], attrs, g };
        }),
    );

/** Everything about query row i of head h: scores of the keys it sees, their probabilities, and the errors of both. */
function attend([q, k, , lo, hi]: readonly Arr[], a: AttentionAttrs, i: number, h: number) {
  const D = q.shape[1] / a.heads;
  const kv = Math.floor(h / (a.heads / a.kvHeads));
  const keys = range(k.shape[0]).filter((j) => at(lo, i) <= j && j < at(hi, i));
  const products = keys.map((j) => range(D).map((d) => a.scale * at(q, i, h * D + d) * at(k, j, kv * D + d)));
  const scores = products.map(plain);
  const sum = plain(scores.map(Math.exp));
  const scoreError = (D + 2) * Math.max(0, ...products.map(magnitude));
  return {
    D,
    kv,
    keys,
    scores,
    lse: Math.log(sum),
    p: scores.map((s) => Math.exp(s) / sum),
    scoreError,
    /** Relative, in roundoffs: the exponents err by scoreError and by their own size, then a sum and a division. */
    pError:
      2 * scoreError +
      2 * (Math.max(0, ...scores) - Math.min(0, ...scores)) +
      2 * Math.abs(Math.log(sum || 1)) +
      keys.length +
      16,
  };
}

function define(ins: readonly Arr[], a: AttentionAttrs) {
  const [q, , v] = ins;
  const out = tabulate(q.shape, (i, column) => {
    const D = q.shape[1] / a.heads;
    const { keys, p, kv, pError } = attend(ins, a, i, Math.floor(column / D));
    const terms = keys.map((j, t) => p[t] * at(v, j, kv * D + (column % D)));
    return off(plain(terms), (pError + keys.length) * magnitude(terms));
  });
  const lse = tabulate([q.shape[0], a.heads], (i, h) => {
    const { keys, lse, scores, scoreError } = attend(ins, a, i, h);
    return keys.length === 0
      ? off(0, 0)
      : off(lse, scoreError + 2 * Math.max(...scores.map(Math.abs)) + 2 * Math.log(keys.length) + keys.length + 8);
  });
  return [out, lse];
}

/** With the softmax Jacobian dp_j / ds_l = p_j ([j = l] - p_l) written out: no out, no lse, no saved difference. */
function defineBackward(ins: readonly Arr[], a: AttentionAttrs) {
  const [q, k, v, , , , , g] = ins;
  const [n, width] = q.shape;
  const D = width / a.heads;
  const terms = {
    dq: new Map<string, [number, number][]>(),
    dk: new Map<string, [number, number][]>(),
    dv: new Map<string, [number, number][]>(),
  };
  const add = (to: Map<string, [number, number][]>, row: number, column: number, value: number, error: number) => {
    const key = `${row},${column}`;
    to.set(key, [...(to.get(key) ?? []), [value, error]]);
  };
  for (const i of range(n)) {
    for (const h of range(a.heads)) {
      const { keys, p, kv, pError } = attend(ins, a, i, h);
      const gv = keys.map((j) => range(D).map((d) => at(g, i, h * D + d) * at(v, j, kv * D + d)));
      // The kernel forms g.out instead of sum_l p_l (g.v_l): the same terms, and the roundoff of `out` with them.
      const spread = plain(keys.map((_, l) => p[l] * magnitude(gv[l])));
      keys.forEach((j, t) => {
        const ds = plain(keys.map((_, l) => plain(gv[l]) * p[l] * (Number(l === t) - p[t])));
        const dsError = p[t] * ((pError + 2 * D + 8) * (magnitude(gv[t]) + spread) + pError * spread);
        for (const d of range(D)) {
          const [iq, ik] = [h * D + d, kv * D + d];
          add(terms.dv, j, ik, p[t] * at(g, i, iq), (pError + 2) * Math.abs(p[t] * at(g, i, iq)));
          add(
            terms.dq,
            i,
            iq,
            a.scale * ds * at(k, j, ik),
            a.scale * (dsError + 3 * Math.abs(ds)) * Math.abs(at(k, j, ik)),
          );
          add(
            terms.dk,
            j,
            ik,
            a.scale * ds * at(q, i, iq),
            a.scale * (dsError + 3 * Math.abs(ds)) * Math.abs(at(q, i, iq)),
          );
        }
      });
    }
  }
  const collect = (x: Arr, from: Map<string, [number, number][]>) =>
    tabulate(x.shape, (row, column) => {
      const found = from.get(`${row},${column}`) ?? [];
      const values = found.map(([value]) => value);
      return off(plain(values), found.length * magnitude(values) + plain(found.map(([, error]) => error)));
    });
  return [collect(q, terms.dq), collect(k, terms.dk), collect(v, terms.dv)];
}

const usual = { heads: 2, kvHeads: 1, scale: 1, pairs: 0 };
const [lo, hi] = [i32([0, 0]), i32([0, 0])];

const shapeRefusals = (op: string, more: readonly Arr[]) =>
  [
    { ins: [blank(4), blank(3, 2), blank(3, 2), lo, hi], message: 'q must have 2 axes, got [4]' },
    { ins: [blank(2, 4), blank(2), blank(3, 2), lo, hi], message: 'k must have 2 axes, got [2]' },
    {
      ins: [blank(2, 5), blank(3, 2), blank(3, 2), lo, hi],
      message: 'width 5 of q [2,5] is not a multiple of heads 2',
    },
    {
      ins: [blank(2, 4), blank(3, 4), blank(3, 4), lo, hi],
      message: 'k (kvHeads 1 x head dim 2) must be [3,2], got [3,4]',
    },
    { ins: [blank(2, 4), blank(3, 2), blank(2, 2), lo, hi], message: 'v must be [3,2], got [2,2]' },
    { ins: [blank(2, 4), blank(3, 2), blank(3, 2), i32([0]), hi], message: 'lo must be [2], got [1]' },
    { ins: [blank(2, 4), blank(3, 2), blank(3, 2), lo, i32([0])], message: 'hi must be [2], got [1]' },
    {
      ins: [blank(2, 4), blank(3, 2), blank(3, 2), lo, hi],
      attrs: { ...usual, heads: 0 },
      message: 'width 4 of q [2,4] is not a multiple of heads 0',
    },
    {
      ins: [blank(2, 4), blank(3, 2), blank(3, 2), lo, hi],
      attrs: { ...usual, kvHeads: 0 },
      message: 'heads 2 is not a multiple of kvHeads 0',
    },
    {
      ins: [blank(2, 6), blank(3, 4), blank(3, 4), lo, hi],
      attrs: { ...usual, heads: 3, kvHeads: 2 },
      message: 'heads 3 is not a multiple of kvHeads 2',
    },
  ].map(({ ins, attrs = usual, message }) => ({ ins: [...ins, ...more], attrs, message: `${op}: ${message}` }));

export const attentionOps: OpRows<'intervalAttention' | 'intervalAttentionBackward'> = {
  intervalAttention: {
    cases: (size) => attentionCases(size).map(({ ins, attrs }) => ({ ins, attrs })),
    define,
    gradient: {
      // The public function fixes the scale at 1/sqrt(D); other scales reach the same rule through `apply`.
      operation: ([q, k, v, from, to], a) =>
        a.scale === 1 / Math.sqrt(q.shape[1] / a.heads)
          ? ag.intervalAttention(q, k, v, { lo: from, hi: to, pairs: a.pairs }, a.heads, a.kvHeads)
          : ag.apply('intervalAttention', [q, k, v, from, to], a),
      composed: ([q, k, v, from, to], a) =>
        // A scale other than the usual one is a factor on q.
        ag.composed.intervalAttention(
          ag.affine(q, a.scale * Math.sqrt(q.shape[1] / a.heads)),
          k,
          v,
          { lo: from, hi: to },
          a.heads,
          a.kvHeads,
        ),
    },
    refusals: shapeRefusals('intervalAttention', []),
  },
  intervalAttentionBackward: {
    cases: (size) =>
      attentionCases(size).map(({ ins, attrs, g }) => {
        const [out, lse] = define(ins, attrs).map((y) =>
          f32(
            y.shape,
            y.values.map((v) => v.value),
          ),
        );
        return { ins: [...ins, out, lse, g], attrs };
      }),
    define: defineBackward,
    gradient: { gradientOf: 'intervalAttention' },
    refusals: [
      ...shapeRefusals('intervalAttentionBackward', [blank(2, 4), blank(2, 2), blank(2, 4)]),
      ...[
        { more: [blank(2, 3), blank(2, 2), blank(2, 4)], message: 'out must be [2,4], got [2,3]' },
        { more: [blank(2, 4), blank(2), blank(2, 4)], message: 'lse must be [2,2], got [2]' },
        { more: [blank(2, 4), blank(2, 2), blank(4)], message: 'g must be [2,4], got [4]' },
      ].map(({ more, message }) => ({
        ins: [blank(2, 4), blank(3, 2), blank(3, 2), lo, hi, ...more],
        attrs: usual,
        message: `intervalAttentionBackward: ${message}`,
      })),
    ],
  },
};
