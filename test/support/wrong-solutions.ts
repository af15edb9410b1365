/** @file Wrong solutions of the exercises, each with one mistake that readers make. A law must catch every one. */
import * as ag from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import { isSpaceLike } from '../../exercises/holes/02-spaces.ts';
import type { Node } from '../../exercises/holes/10-backward.ts';

type Numbers = readonly number[];
type Values = Float32Array | Float64Array | Int32Array;
const sum = (x: Numbers): number => x.reduce((a, b) => a + b, 0);
const exps = (x: Numbers): number[] => x.map((xi) => Math.exp(xi));
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const softplus = (rule: (g: Tensor, x: Tensor) => Tensor, one = 1) =>
  ag.defineOp({
    name: 'softplus',
    inputs: ['x'],
    forward: ([x]) => ag.log(ag.add(ag.exp(x), one)),
    vjp: (g, { ins: [x] }) => [rule(g, x)],
  });
const adamw = (change: { decay?: number; unbias?: boolean; sign?: number }) => ({
  adamwStep({ w, m, v }: { w: number; m: number; v: number }, g: number, t: number, lr: number) {
    const { decay = 0.1, unbias = true, sign = 1 } = change;
    const [m2, v2] = [0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g];
    const [a, b] = unbias ? [1 - 0.9 ** t, 1 - 0.95 ** t] : [1, 1];
    return { w: w - lr * decay * w - sign * lr * (m2 / a / (Math.sqrt(v2 / b) + 1e-8)), m: m2, v: v2 };
  },
});
const norm = (factor: (squares: number, C: number, eps: number) => number, first = 0) => ({
  rmsNorm(y: Values, x: Values, w: Values, eps: number) {
    const C = w.length;
    for (let at = 0; at < x.length; at += C) {
      const r = factor(sum([...x.subarray(at, at + C)].map((xi) => xi * xi)), C, eps);
      for (let c = first; c < C; c++) y[at + c] = x[at + c] * r * w[c];
    }
  },
});
const ngram =
  (order: (n: number, t: number) => number, floor = true) =>
  (ids: Numbers, i: number, n: number, rows: number, prime = 1_000_000_007n) => {
    let h = 0n;
    for (let t = 0; t < n; t++) h += BigInt(ids[i - n + 1 + t] ?? 0) * prime ** BigInt(order(n, t));
    const row = Number(BigInt.asIntN(64, h) % BigInt(rows));
    return floor ? (row + rows) % rows : row;
  };
const walk = (step: (grads: number[], parent: number, share: number) => void) => ({
  backward(tape: readonly Node[]) {
    const grads = tape.map((_, i) => (i === tape.length - 1 ? 1 : 0));
    for (let i = tape.length - 1; i >= 0; i--) {
      tape[i].parents.forEach((parent, j) => void step(grads, parent, grads[i] * tape[i].slopes[j]));
    }
    return grads;
  },
});
const lookup = (put: (before: number, g: number) => number) => ({
  lookupGradient(g: readonly Numbers[], ids: Numbers, rows: number) {
    const dT = range(rows).map(() => g[0].map(() => 0));
    ids.forEach((id, i) => void g[i].forEach((x, c) => void (dT[id][c] = put(dT[id][c], x))));
    return dT;
  },
});
const decoder = (patch: (of: (i: number) => number, i: number) => number) => ({
  decoderInterval(n: number, starts: Numbers, k: number) {
    const read = range(n).map((i) => patch((at) => starts.filter((s) => s <= at).length - 1, i));
    return { lo: read.map((j) => j * k), hi: read.map((j) => (j + 1) * k) };
  },
});
const nucleus = (keep: (before: number, own: number, p: number) => boolean, sorted = true) => ({
  topP(x: Numbers, p: number) {
    const order = [...x.keys()].sort((a, b) => (sorted ? x[b] - x[a] : 0) || a - b);
    let before = 0;
    const kept = order.filter((id) => {
      const kept = keep(before, x[id], p);
      before += x[id];
      return kept;
    });
    return kept.sort((a, b) => a - b);
  },
});
const turn = (angle: (pos: number, c: number, n: number, theta: number) => number, sign = 1) => ({
  rope(x: Numbers, position: number, theta: number) {
    return x.map((xi, c) => {
      const t = angle(position, c - (c % 2), x.length, theta);
      const other = x[c % 2 === 0 ? c + 1 : c - 1];
      return xi * Math.cos(t) + (c % 2 === 0 ? -sign : sign) * other * Math.sin(t);
    });
  },
});
const attention = (largest: (scores: Numbers) => number, empty: number) => ({
  attend(scores: Iterable<number>, values: Numbers) {
    const s = [...scores];
    const e = exps(s.map((x) => x - largest(s)));
    return s.length === 0 ? empty : sum(e.map((x, j) => x * values[j])) / sum(e);
  },
});
const matmul = (swap: boolean) => ({
  matmulGradient(A: readonly Numbers[], B: readonly Numbers[], G: readonly Numbers[]) {
    const dA = A.map((row, i) => row.map((_, k) => sum(G[i].map((g, j) => g * B[k][j]))));
    const dB = B.map((row, k) => row.map((_, j) => sum(G.map((g, i) => A[i][k] * g[j]))));
    return swap ? { dA: dB, dB: dA } : { dA, dB: dB.map((row) => row.map((x) => -x)) };
  },
});
const encode = (offset: number, begin: boolean, characters = false) => ({
  encode(text: string) {
    const bytes = characters ? [...text].map((c) => c.codePointAt(0)!) : [...new TextEncoder().encode(text)];
    return [...(begin ? [1] : []), ...bytes.map((byte) => byte + offset)];
  },
});

/** Name of an exercise to works that are wrong. */
export const wrongSolutions: Readonly<Record<string, readonly object[]>> = {
  '01-bytes': [encode(4, false), encode(3, true), encode(4, true, true)],
  '02-spaces': [
    { ends: (x: Numbers) => x.map(isSpaceLike) },
    { ends: (x: Numbers) => x.map((b) => b === 32) },
    { ends: (x: Numbers) => x.map((b, i) => isSpaceLike(b) && i > 0 && !isSpaceLike(x[i - 1])) },
  ],
  '03-softmax': [
    { softmax: (x: Numbers) => exps(x).map((e) => e / sum(exps(x))) },
    { softmax: exps },
    { softmax: (x: Numbers) => x.map(() => 1 / x.length) },
  ],
  '04-cross-entropy': [
    { crossEntropy: (x: Numbers, t: number) => -Math.log(exps(x)[t] / sum(exps(x))) },
    { crossEntropy: (x: Numbers, t: number) => Math.max(...x) - x[t] },
    { crossEntropy: (x: Numbers, t: number) => x[t] - Math.log(sum(exps(x))) },
  ],
  '05-entropy': [
    { entropy: (p: Numbers) => -sum(p.map((x) => x * Math.log(x))) },
    { entropy: (p: Numbers) => -sum(p.map((x) => (x > 0 ? x * Math.log2(x) : 0))) },
    { entropy: (p: Numbers) => Math.log(p.length) },
  ],
  '06-threshold': [
    {
      starts: (H: Numbers, t: number) => [
        0,
        ...range(H.length)
          .filter((i) => i > 0 && H[i] > t)
          .map((i) => i + 1),
      ],
    },
    {
      starts: (H: Numbers, t: number) => [
        0,
        ...range(H.length)
          .filter((i) => i < 1 || H[i] >= t)
          .map((i) => i + 1),
      ],
    },
    { starts: (H: Numbers, t: number) => range(H.length).filter((i) => i < 2 || H[i] > t) },
  ],
  '07-tanh': [
    { tanhRule: (g: Tensor, y: Tensor) => ag.sub(1, ag.mul(g, ag.mul(y, y))) },
    { tanhRule: (g: Tensor, y: Tensor) => ag.mul(g, ag.sub(1, y)) },
    { tanhRule: (g: Tensor) => g },
  ],
  '08-bias': [
    { biasGradient: (g: Numbers, n: number) => g.slice(0, n) },
    {
      biasGradient: (g: Numbers, n: number) =>
        range(n).map((c) => sum(g.filter((_, i) => i % n === c)) / (g.length / n)),
    },
  ],
  '09-matmul': [matmul(true), matmul(false)],
  '10-backward': [
    walk((grads, parent, share) => void (grads[parent] = share)),
    walk((grads, parent, share) => void (grads[parent] += Math.abs(share))),
  ],
  '11-window': [
    {
      windowInterval: (n: number, w: number) => ({
        lo: range(n).map((i) => i - w + 1),
        hi: range(n).map((i) => i + 1),
      }),
    },
    {
      windowInterval: (n: number, w: number) => ({
        lo: range(n).map((i) => Math.max(0, i - w)),
        hi: range(n).map((i) => i + 1),
      }),
    },
    { windowInterval: (n: number, w: number) => ({ lo: range(n).map((i) => Math.max(0, i - w + 1)), hi: range(n) }) },
  ],
  '12-decoder': [decoder((of, i) => of(i)), decoder((of, i) => Math.max(0, of(i) - 1)), decoder((of, i) => of(i + 1))],
  '13-rope': [
    turn((p, c, n, theta) => p * theta ** (-c / n), -1),
    turn((p, c, n, theta) => p * theta ** (-(c / 2) / n)),
    turn((p) => p),
  ],
  '14-ngram': [
    { ngramRow: ngram((n, t) => n - 1 - t) },
    { ngramRow: ngram((_, t) => t, false) },
    { ngramRow: ngram((_, t) => t + 1) },
  ],
  '15-embedding': [lookup((_, g) => g), lookup((before) => before + 1)],
  '16-adamw': [adamw({ decay: 0 }), adamw({ unbias: false }), adamw({ sign: -1 })],
  '17-top-p': [
    nucleus((before, own, p) => before + own <= p),
    nucleus((before, _, p) => before <= p, false),
    nucleus((before, _, p) => before < p),
  ],
  '18-custom-op': [
    { makeSoftplus: () => softplus((g) => g) },
    { makeSoftplus: () => softplus((g, x) => ag.mul(g, ag.exp(x))) },
    { makeSoftplus: () => softplus((g, x) => ag.mul(g, ag.sigmoid(x)), 2) },
  ],
  '19-attention': [attention(() => 0, 0), attention((s) => Math.max(...s), Number.NaN), attention((s) => s[0], 0)],
  '20-kernel': [
    norm((squares, C) => 1 / Math.sqrt(squares / C)),
    norm((squares, _, eps) => 1 / Math.sqrt(squares + eps)),
    norm((squares, C, eps) => 1 / Math.sqrt(squares / C + eps), 1),
  ],
};
