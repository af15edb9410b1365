/** @file The worked examples of docs/derivations/, computed with the library: rows of the tables under "By hand", and numbers of the text. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ag from '@blt-ts/autograd';
import { ADAMW_DEFAULTS, AdamW, encode, hashNgrams, ropeTable } from '@blt-ts/blt';
import { type Tensor, tensor } from '@blt-ts/tensor';
import { HASH_PRIMES } from '../../packages/blt/src/model/hashing.ts';

/** The numbers that a page shows. */
export interface WorkedExample {
  /** Row of a table, by its first cell, to its numbers. The head of a table is no row. */
  readonly rows: Readonly<Record<string, ArrayLike<number> & Iterable<number>>>;
  /** Other numbers of the text. */
  readonly said: readonly number[];
}

const values = (x: Tensor): number[] => [...x.readSync()];
const ints = (...x: number[]): Tensor => tensor(Int32Array.from(x));

function softmaxCrossEntropy(): WorkedExample {
  const x = tensor([[2, 1, 0]]);
  const loss = (x: Tensor) => ag.sum(ag.crossEntropy(x, ints(1)));
  const shifted = ag.sub(x, ag.max(x));
  const p = ag.softmax(x);
  return {
    rows: {
      x_v: values(x),
      'x_v - max': values(shifted),
      'e^(x_v - max)': values(ag.exp(shifted)),
      p_v: values(p),
      'dL/dx_v': values(ag.grad(loss)(x)),
    },
    said: [
      ag.sum(ag.exp(shifted)).item(),
      loss(x).item(),
      // A row of equal logits costs the logarithm of their number.
      ag.crossEntropy(tensor(new Float32Array(260), [1, 260]), ints(7)).item(),
    ],
  };
}

function rmsNorm(): WorkedExample {
  const [x, w] = [tensor([[1, 7]]), tensor([1, 2])];
  const [dx, dw] = ag.grad(([x, w]: Tensor[]) => ag.sum(ag.rmsNorm(x, w, 0)))([x, w]);
  const gwx = ag.mul(x, w);
  const tiny = (eps: number) => ag.rmsNorm(tensor([[1e-6, 0]]), tensor([1, 1]), eps);
  return {
    rows: {
      x: values(x),
      w: values(w),
      'y = x r w': values(ag.rmsNorm(x, w, 0)),
      g: [1, 1],
      'g w x': values(gwx),
      dw: values(dw),
      dx: values(dx),
    },
    said: [ag.div(ag.mean(gwx), ag.mean(ag.square(x))).item(), values(tiny(0))[0], values(tiny(1e-5))[0]],
  };
}

function swiGlu(): WorkedExample {
  const a = tensor([-Math.log(3), 0, Math.log(3)]);
  const b = tensor([2, 2, 2]);
  const [da, db] = ag.grad(([a, b]: Tensor[]) => ag.sum(ag.swiGlu(a, b)))([a, b]);
  return {
    rows: {
      a: values(a),
      b: values(b),
      's = sigmoid(a)': values(ag.sigmoid(a)),
      'silu(a) = a s': values(ag.silu(a)),
      'y = silu(a) b': values(ag.swiGlu(a, b)),
      'da, for g = 1': values(da),
      'db, for g = 1': values(db),
    },
    said: [],
  };
}

function rope(): WorkedExample {
  const table = { cos: tensor([[0.6]]), sin: tensor([[0.8]]) };
  const turn = (x: Tensor) => ag.rope(x, table, ints(0), 2);
  const x = tensor([[1, 2]]);
  const dx = ag.grad((x: Tensor) => ag.sum(ag.mul(turn(x), tensor([1, 0]))))(x);
  const real = ropeTable(x.backend, 10000, 2, 64);
  const at = (position: number) => ag.rope(tensor([[1, 0]]), real, ints(position), 2);
  const dot = (m: number, n: number) => ag.sum(ag.mul(at(m), at(n))).item();
  const float = (angle: number) => Math.abs(angle - Math.fround(angle));
  return {
    rows: { x: values(x), 'y = R x': values(turn(x)), g: [1, 0], 'dx = R^T g': values(dx) },
    said: [
      0.6,
      0.8,
      dot(3, 1),
      dot(7, 5),
      (Math.acos(0.6) * 180) / Math.PI,
      float(1000.3),
      float(1000000.3),
      2 ** -15,
      2 ** -5,
    ],
  };
}

function intervalAttention(): WorkedExample {
  const column = (...x: number[]) => tensor(x, [x.length, 1]);
  const [q, k, v, g] = [column(1, 1, 1), column(0, Math.log(3), 0), column(4, 8, 0), column(1, 2, 4)];
  const [lo, hi] = [
    [0, 0, 1],
    [1, 2, 3],
  ];
  const bounds = { lo: ints(...lo), hi: ints(...hi), pairs: 5 };
  const attend = ([q, k, v]: Tensor[]) => ag.intervalAttention(q, k, v, bounds, 1);
  const out = attend([q, k, v]);
  const [dq, dk, dv] = ag.grad((x: Tensor[]) => ag.sum(ag.mul(attend(x), g)))([q, k, v]);
  const lse = values(
    ag.applyAll('intervalAttention', [q, k, v, bounds.lo, bounds.hi], { heads: 1, kvHeads: 1, scale: 1, pairs: 5 })[1],
  );
  const pairs = lo.flatMap((from, i) => Array.from({ length: hi[i] - from }, (_, t) => [i, from + t]));
  const [ks, vs, gs, outs] = [k, v, g, out].map(values);
  const p = pairs.map(([i, j]) => Math.exp(ks[j] - lse[i]));
  const dp = pairs.map(([i, j]) => gs[i] * vs[j]);
  const delta = outs.map((y, i) => gs[i] * y);
  return {
    rows: {
      lo,
      hi,
      q: values(q),
      k: ks,
      v: vs,
      out: outs,
      lse,
      g: gs,
      delta,
      'pair (i, j)': pairs.flat(),
      s_ij: pairs.map(([, j]) => ks[j]),
      p_ij: p,
      'g_i · v_j': dp,
      ds_ij: pairs.map(([i], e) => p[e] * (dp[e] - delta[i])),
      dq: values(dq),
      dk: values(dk),
      dv: values(dv),
    },
    said: [],
  };
}

function maxPooling(): WorkedExample {
  const x = tensor([
    [1, 5],
    [3, 2],
    [0, 4],
    [2, 4],
    [2, 1],
  ]);
  const pool = (x: Tensor) => ag.segmentMax(x, ints(0, 2, 5));
  const y = values(pool(x));
  const dx = values(ag.grad((x: Tensor) => ag.sum(pool(x)))(x));
  const columns = (flat: readonly number[]) => [0, 1].map((c) => flat.filter((_, i) => i % 2 === c));
  const [[x0, x1], [dx0, dx1], [y0, y1]] = [values(x), dx, y].map(columns);
  return {
    rows: {
      'x, channel 0': x0,
      'x, channel 1': x1,
      'dx, channel 0': dx0,
      'dx, channel 1': dx1,
      'y, channel 0': y0,
      'y, channel 1': y1,
    },
    said: [],
  };
}

function hashNgramExample(): WorkedExample {
  const ids = encode('abba', { bos: false, eos: false });
  const raw = (i: number) => BigInt(i > 0 ? ids[i - 1] : 0) + BigInt(ids[i]) * HASH_PRIMES[0];
  const positions = [0, 1, 2, 3];
  const buckets = [...hashNgrams(ids, { groupSizes: [2], functions: 1, vocab: 4 })];
  const dTable = values(
    ag.grad((table: Tensor) =>
      ag.sum(ag.mul(ag.embeddingBag(table, tensor(Int32Array.from(buckets), [4, 1])), tensor([[1], [2], [3], [4]]))),
    )(tensor([[0], [0], [0], [0]])),
  );
  return {
    rows: {
      id: [...ids],
      'id before': positions.map((i) => (i > 0 ? ids[i - 1] : 0)),
      h: positions.map((i) => Number(raw(i))),
      'h mod 4': buckets,
      g: [1, 2, 3, 4],
      dT: dTable,
    },
    said: [],
  };
}

/** p, m and v of one number after each update of dense AdamW, at the rate 0.1 and with the paper's other values. */
function adamwSteps(gradients: readonly number[]): { p: number[]; m: number[]; v: number[]; step: number[] } {
  const p = { w: tensor([1]) };
  const optimizer = new AdamW(p);
  const state = (name: string) => optimizer.state().tensors.get(`${name}.w`)!.item();
  const found = { p: [] as number[], m: [] as number[], v: [] as number[], step: [] as number[] };
  for (const g of gradients) {
    const before = p.w.item();
    optimizer.step(new Map([['w', tensor([g])]]), 0.1);
    found.p.push(p.w.item());
    found.m.push(state('m'));
    found.v.push(state('v'));
    found.step.push(before * (1 - 0.1 * ADAMW_DEFAULTS.weightDecay) - p.w.item());
  }
  return found;
}

function adamw(): WorkedExample {
  const { p, m, v, step } = adamwSteps([0.5, 0, 0]);
  const t = [1, 2, 3];
  const mHat = m.map((x, i) => x / (1 - 0.9 ** t[i]));
  const root = v.map((x, i) => Math.sqrt(x / (1 - 0.95 ** t[i])));
  const table = { rows: tensor([[1], [1]]) };
  const optimizer = new AdamW(table);
  const read = (ids: number[], rows: number[]) =>
    optimizer.step(new Map([['rows', { ids: Int32Array.from(ids), rows: tensor(rows, [rows.length, 1]) }]]), 0.1);
  read([0, 1], [0.5, 0.5]);
  read([1], [0.5]);
  read([1], [0.5]);
  const late = table.rows.readSync()[0];
  optimizer.catchUp('rows', Int32Array.of(0));
  const ratio = 0.9 / Math.sqrt(0.95);
  const w = t.map((s) => (0.1 * Math.sqrt(1 - 0.95 ** s)) / (1 - 0.9 ** s));
  return {
    rows: {
      g: [0.5, 0, 0],
      m,
      v,
      'm hat': mHat,
      'root of v hat': root,
      step,
      p,
      'row 0 of the table': [late],
      'after catchUp': [table.rows.readSync()[0]],
    },
    said: [
      0.99,
      0.95,
      ratio,
      w[1],
      w[2],
      w[1] * 0.99,
      ratio * w[2],
      ratio * (w[1] * 0.99 + ratio * w[2]),
      0.99 ** 2,
      m[0] / Math.sqrt(v[0]),
      quoted('docs/laboratory/learning.md', 2.603),
      quoted('docs/laboratory/learning.md', 2.485),
    ],
  };
}

/** A whole number that stands in the source of the products in WebAssembly. */
function constantOf(file: string, pattern: RegExp): number {
  const text = readFileSync(
    fileURLToPath(new URL(`../../packages/tensor/src/wasm/assembly/matmul/${file}`, import.meta.url)),
    'utf8',
  );
  const found = pattern.exec(text);
  if (!found) throw new Error(`${file} has no ${pattern}`);
  return Number(found[1]);
}

function matmul(): WorkedExample {
  const [a, b, g] = [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [1, 0, 0, 2],
  ].map((x) => tensor(x, [2, 2]));
  const [dA, dB] = ag.grad(([a, b]: Tensor[]) => ag.sum(ag.mul(ag.matmul(a, b), g)))([a, b]);
  const rows = (x: Tensor) => values(x);
  const block = (name: string) => constantOf('gemm.ts', new RegExp(`const ${name} = (\\d+);`));
  const [KC, MC, NC] = ['KC', 'MC', 'NC'].map(block);
  const panelRows = constantOf('pack.ts', /panelRows\(\)[^?]*\? (\d+)/);
  const panelColumns = constantOf('pack.ts', /panelColumns\(\)[^?]*\? (\d+)/);
  const size = (floats: number) => [floats, (floats * 4) / 1024];
  const loads = (r: number, c: number) => [(r + c) / (r * c)];
  return {
    rows: {
      A: rows(a),
      B: rows(b),
      'Y = A B': rows(ag.matmul(a, b)),
      G: rows(g),
      'dA = G B^T': rows(dA),
      'dB = A^T G': rows(dB),
      'one sum at a time': loads(1, 1),
      'tile of 2 x 2': loads(2, 2),
      'tile of 4 x 8': loads(4, 8),
      'tile of 6 x 16': loads(panelRows, panelColumns),
      'tile of C': size(panelRows * panelColumns),
      'panel of B': size(panelColumns * KC),
      'panel of A': size(panelRows * KC),
      'block of A': size(MC * KC),
      'block of B': size(NC * KC),
    },
    said: ['134 to 141 GFLOP/s', '90 to 97%', '85 to 94%'].map((f) => quoted('docs/laboratory/products.md', f)),
  };
}

/** A measured figure that another page has with its command. */
function quoted(page: string, figure: number | string): number {
  const text = readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), 'utf8');
  if (!text.includes(String(figure))) throw new Error(`${page} no longer has the figure ${figure}`);
  return Number.parseFloat(String(figure));
}

export const workedExamples: Readonly<Record<string, () => WorkedExample>> = {
  'interval-attention': intervalAttention,
  adamw,
  'hash-ngrams': hashNgramExample,
  matmul,
  'max-pooling': maxPooling,
  rmsnorm: rmsNorm,
  rope,
  swiglu: swiGlu,
  'softmax-cross-entropy': softmaxCrossEntropy,
};
