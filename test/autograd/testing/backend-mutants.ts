/** @file Backends that are wrong in one kernel: twenty mistakes of the kinds that people make. */
import { type Backend, createReferenceBackend, type KernelName, type Operand } from '@blt-ts/tensor';

type Attrs = Record<string, number & boolean & readonly number[]>;

/** Changes a right result into a wrong one. */
type Mistake = (outs: Float32Array[], ins: Float32Array[], call: Call) => void;

interface Call {
  readonly attrs: Attrs;
  readonly shapes: readonly (readonly number[])[];
  readonly outShapes: readonly (readonly number[])[];
}

/** A mistake in the attributes or the inputs that the kernel is called with. */
type WrongCall = (ins: readonly Operand[], attrs: Attrs) => [readonly Operand[], Attrs];

export interface BackendMutant {
  readonly name: string;
  readonly kernel: KernelName;
  readonly after?: Mistake;
  readonly before?: WrongCall;
}

const values = (x: Operand): Float32Array => x.storage.handle as Float32Array;

/** The reference backend with one mistake. */
export function wrongBackend({ kernel: wrong, after, before }: BackendMutant): Backend {
  const backend = createReferenceBackend();
  const { run } = backend;
  backend.run = (kernel, outs, ins, attrs) => {
    const given: Attrs = attrs as never;
    const [inputs, changed] = kernel === wrong && before ? before(ins, given) : [ins, given];
    run.call(backend, kernel, outs, inputs, changed as never);
    if (kernel !== wrong || !after) return;
    after(outs.map(values), ins.map(values), {
      attrs: given,
      shapes: ins.map((x) => x.shape),
      outShapes: outs.map((x) => x.shape),
    });
  };
  return backend;
}

const each =
  (f: (y: number, i: number, ins: Float32Array[], call: Call) => number): Mistake =>
  ([y], ins, call) => {
    y.forEach((v, i) => {
      y[i] = f(v, i, ins, call);
    });
  };

export const backendMutants: readonly BackendMutant[] = [
  { name: 'neg forgets the sign', kernel: 'neg', after: each((y) => -y) },
  { name: 'sub has its operands the other way round', kernel: 'sub', after: each((y) => -y) },
  { name: 'abs of a negative number is left negative', kernel: 'abs', after: each((y, i, [x]) => (x[i] < 0 ? -y : y)) },
  {
    name: 'sigmoid is that of the tanh, off by a factor in x',
    kernel: 'sigmoid',
    after: each((_, i, [x]) => 1 / (1 + Math.exp(-2 * x[i]))),
  },
  { name: 'exp is a polynomial that is right to four digits', kernel: 'exp', after: each((y) => y * (1 + 1e-5)) },
  {
    name: 'greater counts ties',
    kernel: 'greater',
    after: each((y, i, [a, b]) => (a.length === b.length && a[i] === b[i] ? 1 : y)),
  },
  {
    name: 'where looks at the sign of the condition',
    kernel: 'where',
    before: (ins, attrs) => {
      const [c, a, b] = ins;
      values(c).forEach((v, i, all) => {
        all[i] = Math.max(v, 0);
      });
      return [[c, a, b], attrs];
    },
  },
  {
    name: 'sum loses the last element',
    kernel: 'sum',
    after: ([y], [x]) => {
      if (y.length === 1 && x.length > 1) y[0] -= x[x.length - 1];
    },
  },
  { name: 'max starts at 0', kernel: 'max', after: each((y) => Math.max(y, 0)) },
  {
    name: 'transpose changes the shape alone',
    kernel: 'transpose',
    after: ([y], [x]) => y.set(x),
  },
  {
    name: 'slice begins one element late',
    kernel: 'slice',
    after: ([y], [x]) => {
      if (y.length < x.length) y.set(y.slice(1));
    },
  },
  {
    name: 'concat leaves out its last input',
    kernel: 'concat',
    after: ([y], ins) => {
      const last = ins[ins.length - 1];
      if (ins.length > 1) y.fill(0, y.length - last.length);
    },
  },
  {
    name: 'matmul adds up all but the last product',
    kernel: 'matmul',
    after: ([y], [a, b], { attrs, shapes: [sa, sb] }) => {
      if (attrs.transposeA || attrs.transposeB || sa.length !== 2) return;
      const [m, k, n] = [sa[0], sa[1], sb[1]];
      if (k < 2) return;
      for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) y[i * n + j] -= a[i * k + k - 1] * b[(k - 1) * n + j];
    },
  },
  {
    name: 'scatterAddRows overwrites instead of adding',
    kernel: 'scatterAddRows',
    after: ([y], [x, ids], { outShapes: [[, C]] }) => {
      ids.forEach((id, i) => {
        y.set(x.subarray(i * C, (i + 1) * C), id * C);
      });
    },
  },
  {
    name: 'embeddingBag reads row 0 for a dropped id',
    kernel: 'embeddingBag',
    before: ([table, ids], attrs) => {
      values(ids).forEach((id, i, all) => {
        if (id < 0 && table.shape[0] > 0) all[i] = 0;
      });
      return [[table, ids], attrs];
    },
  },
  {
    name: 'softmax divides by the sum of one row for all',
    kernel: 'softmax',
    after: ([y], _, { outShapes: [shape] }) => {
      const C = shape[shape.length - 1];
      for (let i = C; i < y.length; i++) y[i] *= 1.5;
    },
  },
  { name: 'rmsNorm forgets eps', kernel: 'rmsNorm', before: (ins) => [ins, { eps: 0 } as never] },
  {
    name: 'attention sees one key too many',
    kernel: 'intervalAttention',
    before: ([q, k, v, lo, hi], attrs) => {
      values(hi).forEach((end, i, all) => {
        all[i] = Math.min(end + 1, k.shape[0]);
      });
      return [[q, k, v, lo, hi], attrs];
    },
  },
  {
    name: 'adamw counts its steps from 0',
    kernel: 'adamw',
    before: (ins, attrs) => [ins, { ...attrs, step: attrs.step + 1 } as never],
  },
  {
    name: 'add writes one element less',
    kernel: 'add',
    after: ([y]) => {
      if (y.length > 0) y[y.length - 1] = Number.NaN;
    },
  },
  {
    name: 'div writes its result over its first input',
    kernel: 'div',
    after: ([y], [a]) => {
      if (a.length === y.length) a.set(y);
    },
  },
];
