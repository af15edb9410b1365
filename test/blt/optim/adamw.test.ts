import { RowSparse } from '@blt-ts/autograd';
import {
  ADAMW_DEFAULTS,
  AdamW,
  type AdamWOptions,
  addGradients,
  clipFactor,
  coalesce,
  type Gradient,
  WeightAverage,
} from '@blt-ts/blt';
import { createWasmBackend, keep, Random, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { fixture } from '../../support/fixture.ts';
import { distance } from '../../support/golden-model.ts';
import { property } from '../../support/property.ts';
import { seeds } from '../../support/small-model.ts';

interface GoldenAdamW {
  betas: [number, number];
  eps: number;
  weight_decay: number;
  lr: number;
  clip: number;
  p0: number[];
  steps: { grad: number[]; norm: number; clipped: number[]; param: number[] }[];
}

// ----- a table and the steps it takes -----------------------------------------------------------------------------------

const V = 5;
const C = 3;

interface Step {
  readonly lr: number;
  /** Rows read, rising; null: a dense gradient. */
  readonly rows: readonly number[] | null;
  /** One gradient row for each row read (for each row of the table). */
  readonly gradient: Float32Array;
}

const allRows = Array.from({ length: V }, (_, row) => row);

const stepsReading = (rows: fc.Arbitrary<readonly number[] | null>, maxLength = 12): fc.Arbitrary<Step[]> =>
  fc.array(
    fc
      .record({ rows, seed: seeds, lr: fc.integer({ min: 0, max: 100 }).map((i) => i / 1000) })
      .map(({ rows, seed, lr }) => ({
        lr,
        rows,
        gradient: new Random(seed).fillNormal(new Float32Array((rows ?? allRows).length * C)),
      })),
    { minLength: 1, maxLength },
  );
const anySteps = stepsReading(
  fc.oneof({ weight: 4, arbitrary: fc.subarray(allRows) }, { weight: 1, arbitrary: fc.constant(null) }),
);

const options: fc.Arbitrary<AdamWOptions> = fc
  .record({
    beta1: fc.integer({ min: 0, max: 94 }),
    // Below beta1^2 an unread row would drift faster and faster, in the dense algorithm too.
    beta2: fc.integer({ min: 90, max: 99 }),
    weightDecay: fc.constantFrom(0, 0.1, 2),
  })
  .map(({ beta1, beta2, weightDecay }) => ({ beta1: beta1 / 100, beta2: beta2 / 100, eps: 1e-8, weightDecay }));

const initial = new Random(1).fillNormal(new Float32Array(V * C));

/** Dense AdamW in 64 bits. */
function law(steps: readonly Step[], { beta1, beta2, eps, weightDecay }: AdamWOptions, start = initial) {
  const p = Float64Array.from(start);
  const m = new Float64Array(V * C);
  const v = new Float64Array(V * C);
  steps.forEach(({ lr, rows, gradient }, s) => {
    for (let row = 0; row < V; row++) {
      const u = (rows ?? allRows).indexOf(row);
      for (let i = row * C; i < (row + 1) * C; i++) {
        // A row that is not read has the gradient 0: it still shrinks, and drifts along its momentum.
        const g = u < 0 ? 0 : gradient[u * C + (i % C)];
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        p[i] *= 1 - lr * weightDecay;
        p[i] -= (lr * (m[i] / (1 - beta1 ** (s + 1)))) / (Math.sqrt(v[i] / (1 - beta2 ** (s + 1))) + eps);
      }
    }
  });
  return { p, m, v };
}

describe.each(backends)('$name', ({ backend }) => {
  const make = (values: ArrayLike<number>, shape: number[]): Tensor => tensor(values, shape, { backend });
  const table = (values: ArrayLike<number> = initial) => ({ table: make(values, [V, C]) });

  function take(optimizer: AdamW, { lr, rows, gradient }: Step): void {
    const values = make(gradient, [(rows ?? allRows).length, C]);
    const g: Gradient = rows === null ? values : { ids: Int32Array.from(rows), rows: values };
    optimizer.step(new Map([['table', g]]), lr);
  }

  /** p, m and v. */
  function look(params: { table: Tensor }, optimizer: AdamW): Float32Array[] {
    const { tensors } = optimizer.state();
    const all = [params.table, tensors.get('m.table')!, tensors.get('v.table')!];
    return all.map((x) => x.readSync() as Float32Array);
  }

  const weights = (optimizer: AdamW) => optimizer.caughtUp().get('table')!.readSync() as Float32Array;

  test('three clipped steps of the reference', () => {
    const golden = fixture<GoldenAdamW>('adamw.json');
    const params = { p: make(golden.p0, [3]) };
    const optimizer = new AdamW(params, {
      beta1: golden.betas[0],
      beta2: golden.betas[1],
      eps: golden.eps,
      weightDecay: golden.weight_decay,
    });
    for (const { grad, norm, clipped, param } of golden.steps) {
      const gradients = new Map([['p', make(grad, [3])]]);
      const clip = clipFactor(gradients, golden.clip);
      expect(Math.abs(clip.norm.item() / norm - 1)).toBeLessThan(1e-6);
      expect(distance(grad.map((g) => g * clip.factor.item()), clipped)).toBeLessThan(1e-7); // biome-ignore format: one sentence
      optimizer.step(gradients, golden.lr, { scale: clip.factor });
      expect(distance(params.p.readSync(), param)).toBeLessThan(5e-7);
    }
    expect(optimizer.stepsDone).toBe(3);
    expect(ADAMW_DEFAULTS).toEqual({ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 });
  });

  property(
    'with every row read at every step, row-sparse is dense AdamW, bit for bit, at a rate of its own too',
    fc.record({ steps: stepsReading(fc.constant(allRows)), options, lrScale: fc.constantFrom(1, 0.1, 0) }),
    50,
    ({ steps, options, lrScale }) => {
      const [sparse, dense] = [table(), table()];
      const groups = [{ prefix: 'table', lrScale }];
      const [a, b] = [new AdamW(sparse, options, groups), new AdamW(dense, options, groups)];
      for (const step of steps) {
        take(a, step);
        take(b, { ...step, rows: null });
      }
      expect(firstDifference(weights(a), look(sparse, a)[0])).toBeNull();
      look(sparse, a).forEach((values, i) => {
        expect(firstDifference(values, look(dense, b)[i])).toBeNull();
      });
    },
  );

  property(
    'unread rows go where dense AdamW takes them; dense steps in between read all',
    fc.record({ steps: anySteps, options }),
    100,
    ({ steps, options }) => {
      const params = table();
      const optimizer = new AdamW(params, options);
      for (const step of steps) take(optimizer, step);
      const [live] = look(params, optimizer);
      const caughtUp = weights(optimizer);
      expect(distance(caughtUp, law(steps, options).p)).toBeLessThan(1e-5);
      // Rows read in the last step owe nothing.
      for (const row of steps.at(-1)!.rows ?? allRows) {
        const at = [row * C, (row + 1) * C] as const;
        expect(firstDifference(caughtUp.subarray(...at), live.subarray(...at))).toBeNull();
      }
      // Reading every row shows the moments too.
      const last: Step = { lr: 0.01, rows: allRows, gradient: new Float32Array(V * C) };
      take(optimizer, last);
      const [found, wanted] = [look(params, optimizer), law([...steps, last], options)];
      [wanted.p, wanted.m, wanted.v].forEach((values, i) => {
        expect(distance(found[i], values)).toBeLessThan(1e-5);
      });
    },
  );

  property(
    'the drift of an unread row is off by a tenth at most where gradients are about eps, and by eps / sqrt(v) where they are larger',
    fc.record({
      exponent: fc.integer({ min: -13, max: 0 }),
      unread: fc.integer({ min: 1, max: 60 }),
      before: fc.integer({ min: 0, max: 40 }),
      seed: seeds,
    }),
    100,
    ({ exponent, unread, before, seed }) => {
      const nothing = new Float32Array(V * C);
      const read = new Random(seed).fillNormal(new Float32Array(V * C)).map((g) => (g === 0 ? 1 : g) * 10 ** exponent);
      const steps: Step[] = [
        ...Array.from({ length: before }, () => ({ lr: 0.01, rows: [], gradient: new Float32Array(0) })),
        { lr: 0.01, rows: allRows, gradient: read },
        ...Array.from({ length: unread }, () => ({ lr: 0.01, rows: [], gradient: new Float32Array(0) })),
      ];
      const params = table(nothing);
      const optimizer = new AdamW(params, { ...ADAMW_DEFAULTS, weightDecay: 0 });
      for (const step of steps) take(optimizer, step);
      const found = weights(optimizer);
      const options = { ...ADAMW_DEFAULTS, weightDecay: 0 };
      const wanted = law(steps, options, nothing).p;
      const first = law(steps.slice(0, before + 1), options, nothing).p;
      const { beta2, eps } = options;
      // One eps for all skipped updates: with eps = 0 both sums are equal, and eps makes each smaller by at most the share
      // eps / sqrt(v_t), which is largest at the end. Bias correction only makes v_t larger. Each update rounds a few times.
      const fade = Math.sqrt((1 - beta2) * beta2 ** unread);
      const rounding = 8 * unread * 2 ** -24;
      for (let i = 0; i < V * C; i++) {
        const about = Math.min(0.1, eps / (Math.abs(read[i]) * fade)) + rounding;
        const drift = Math.abs(wanted[i] - first[i]);
        expect(Math.abs(found[i] - wanted[i])).toBeLessThanOrEqual(about * drift + 1e-6 * Math.abs(wanted[i]));
      }
    },
  );

  test('weight decay that takes everything at once leaves 0, not NaN', () => {
    const params = table();
    const optimizer = new AdamW(params, { ...ADAMW_DEFAULTS, weightDecay: 1 });
    const steps = [0, 1, 2].map((row): Step => ({ lr: 1, rows: [row], gradient: new Float32Array(C).fill(0.5) }));
    for (const step of steps) take(optimizer, step);
    expect(distance(weights(optimizer), law(steps, { ...ADAMW_DEFAULTS, weightDecay: 1 }).p)).toBeLessThan(1e-5);
  });

  property(
    'an average over rows caught up after each step is that of dense AdamW',
    fc.record({ steps: anySteps, options }),
    50,
    ({ steps, options }) => {
      const params = table();
      const optimizer = new AdamW(params, options);
      const ema = new WeightAverage(params, 0.9);
      const wanted = Float64Array.from(initial);
      steps.forEach((step, s) => {
        take(optimizer, step);
        optimizer.catchUpAll();
        ema.update(params, s + 1);
        const { p } = law(steps.slice(0, s + 1), options);
        const kept = Math.min(0.9, (2 + s) / (11 + s));
        for (let i = 0; i < p.length; i++) wanted[i] = kept * wanted[i] + (1 - kept) * p[i];
      });
      expect(distance(ema.average.get('table')!.readSync(), wanted)).toBeLessThan(1e-5);
    },
  );

  property(
    'a group at a share of the rate is the algorithm at that rate, sparse rows included; others are not touched by it',
    fc.record({ steps: anySteps, options, percent: fc.integer({ min: 0, max: 200 }) }),
    100,
    ({ steps, options, percent }) => {
      const [lrScale, lone] = [percent / 100, table()];
      const both = { slow: table(), other: table() };
      const [alone, optimizer] = [
        new AdamW(lone, options),
        new AdamW(both, options, [
          { prefix: 'slow.', lrScale },
          { prefix: 'slow', lrScale: 9 },
        ]), // the first that fits
      ];
      for (const { lr, rows, gradient } of steps) {
        const values = keep(make(gradient, [(rows ?? allRows).length, C]));
        const g: Gradient = rows === null ? values : { ids: Int32Array.from(rows), rows: values };
        alone.step(new Map([['table', g]]), lr);
        optimizer.step(
          new Map([
            ['slow.table', g],
            ['other.table', g],
          ]),
          lr,
        );
      }
      const caughtUp = optimizer.caughtUp();
      const slower = steps.map((step) => ({ ...step, lr: step.lr * lrScale }));
      expect(distance(caughtUp.get('slow.table')!.readSync(), law(slower, options).p)).toBeLessThan(1e-5);
      expect(firstDifference(caughtUp.get('other.table')!.readSync() as Float32Array, weights(alone))).toBeNull();
    },
  );

  property(
    'rows caught up before they are read hold what dense AdamW holds',
    fc.record({ steps: anySteps, options, ids: fc.array(fc.integer({ min: -1, max: V - 1 }), { maxLength: 8 }) }),
    50,
    ({ steps, options, ids }) => {
      const params = table();
      const optimizer = new AdamW(params, options);
      for (const step of steps) take(optimizer, step);
      const wanted = law(steps, options);
      optimizer.catchUp('table', Int32Array.from(ids));
      const found = look(params, optimizer);
      for (const row of ids.filter((id) => id >= 0)) {
        [wanted.p, wanted.m, wanted.v].forEach((values, i) => {
          const at = [row * C, (row + 1) * C] as const;
          expect(distance(found[i].subarray(...at), values.subarray(...at))).toBeLessThan(1e-5);
        });
      }
    },
  );

  property(
    'looking at caught-up weights changes nothing',
    fc.record({ before: anySteps, after: anySteps, options }),
    50,
    ({ before, after, options }) => {
      const [plain, watched] = [table(), table()];
      const [a, b] = [new AdamW(plain, options), new AdamW(watched, options)];
      for (const step of [...before, ...after]) {
        take(a, step);
        take(b, step);
        expect(firstDifference(weights(b), weights(b))).toBeNull();
      }
      look(plain, a).forEach((values, i) => {
        expect(firstDifference(look(watched, b)[i], values)).toBeNull();
      });
    },
  );

  property(
    'a restored optimiser goes on bit for bit, beside the one its state came from',
    fc.record({ before: anySteps, after: anySteps, options }),
    50,
    ({ before, after, options }) => {
      const params = table();
      const optimizer = new AdamW(params, options);
      for (const step of before) take(optimizer, step);
      const { tensors, ...numbers } = optimizer.state();
      const restoredParams = table(params.table.readSync());
      const restored = new AdamW(restoredParams, options);
      restored.restore({
        ...numbers,
        tensors: new Map([...tensors].map(([name, t]) => [name, t.readSync() as Float32Array])),
      });
      expect(restored.stepsDone).toBe(before.length);
      for (const step of after) {
        take(optimizer, step);
        take(restored, step);
      }
      look(params, optimizer).forEach((values, i) => {
        expect(firstDifference(look(restoredParams, restored)[i], values)).toBeNull();
      });
      expect(firstDifference(weights(restored), weights(optimizer))).toBeNull();
    },
  );

  test('an update consumes the gradients: it frees them, but those that somebody keeps', () => {
    const params = { a: make([1, 2], [2]), b: make([3], [1]), table: make(initial, [V, C]) };
    const optimizer = new AdamW(params);
    const [a, b, rows] = [make([1, 1], [2]), keep(make([2], [1])), make(new Float32Array(C), [1, C])];
    expect(() => optimizer.step(new Map([['a', a]]), 0.1)).toThrow('AdamW: no gradient for parameter b');
    expect(a.freed).toBe(false);
    const gradients = new Map<string, Gradient>([['a', a], ['b', b], ['table', { ids: Int32Array.of(2), rows }]]); // biome-ignore format: one map
    optimizer.step(gradients, 0.1);
    expect([a.freed, b.freed, rows.freed]).toEqual([true, false, true]);
    expect(() => a.readSync()).toThrow(
      'tensor [2] was freed by the update of AdamW, which consumes the gradients; `keep` those to be read later',
    );
    expect(b.item()).toBe(2);
  });

  test('a missing gradient and a state that does not fit are refused', () => {
    const optimizer = new AdamW(table());
    expect(() => optimizer.step(new Map(), 0.1)).toThrow('AdamW: no gradient for parameter table');
    const state = { rates: Float64Array.of(0.1), rows: new Map() };
    expect(() => optimizer.restore({ ...state, tensors: new Map() })).toThrow(
      'optimiser state: m.table needs 15 values, got none',
    );
    const tensors = new Map([
      ['m.table', new Float32Array(15)],
      ['v.table', new Float32Array(14)],
    ]);
    expect(() => optimizer.restore({ ...state, tensors })).toThrow('optimiser state: v.table needs 15 values, got 14');
  });

  describe('gradients', () => {
    /** Rows of a table, some more than once, some dropped. */
    const ids = fc.array(fc.integer({ min: -1, max: V - 1 }), { minLength: 1, maxLength: 8 });
    const sparse = (rows: number[], seed: number): RowSparse => {
      const values = new Random(seed).fillNormal(new Float32Array(rows.length * C));
      return new RowSparse([V, C], [{ ids: Int32Array.from(rows), groups: 1, rows: make(values, [rows.length, C]) }]);
    };
    const two = fc.record({ a: ids, b: ids, seed: seeds });

    property('coalescing keeps the sum of a table and reads each row once', two, 50, ({ a, seed }) => {
      const g = sparse(a, seed);
      const { ids, rows } = coalesce(new Map([['t', g]])).get('t') as { ids: Int32Array; rows: Tensor };
      expect([...ids]).toEqual([...new Set(a.filter((id) => id >= 0))].sort((x, y) => x - y));
      const values = rows.readSync();
      const dense = g.toDense().readSync();
      const wanted = new Float64Array(V * C);
      const own = g.parts[0].rows.readSync();
      a.forEach((id, n) => {
        for (let c = 0; c < C && id >= 0; c++) wanted[id * C + c] += own[n * C + c];
      });
      expect(distance(dense, wanted)).toBeLessThan(1e-5);
      ids.forEach((id, u) => {
        expect(firstDifference(values.subarray(u * C, (u + 1) * C), dense.subarray(id * C, (id + 1) * C))).toBeNull();
      });
    });

    property('accumulated gradients are the sums, sparse or not', two, 50, ({ a, b, seed }) => {
      const [x, y] = [sparse(a, seed), sparse(b, seed + 1)];
      const sums = [
        [x, y],
        [x.toDense(), y],
        [x, y.toDense()],
        [x.toDense(), y.toDense()],
      ].map(([p, q]) => addGradients(new Map([['t', p]]), new Map([['t', q]])).get('t')!);
      expect(sums.map((s) => s instanceof RowSparse)).toEqual([true, false, false, false]);
      const [wanted, other] = [x, y].map((g) => g.toDense().readSync());
      for (const s of sums) {
        const found = (s instanceof RowSparse ? s.toDense() : s).readSync();
        expect(distance(found, wanted.map((v, i) => v + other[i]))).toBeLessThan(1e-5); // biome-ignore format: one sentence
      }
    });

    property(
      'the clip factor is min(1, max / norm) of all gradients together, sparse or not',
      fc.record({ a: ids, seed: seeds, maxNorm: fc.constantFrom(0.01, 1, 100), scale: fc.constantFrom(1, 0.25) }),
      50,
      ({ a, seed, maxNorm, scale }) => {
        const g = sparse(a, seed);
        const other = make(new Random(seed + 1).fillNormal(new Float32Array(7)), [7]);
        const dense = g.toDense();
        let squares = 0;
        for (const x of [...dense.readSync(), ...other.readSync()]) squares += x * x;
        const norm = Math.sqrt(squares) * scale;
        for (const table of [g, dense]) {
          const found = clipFactor(coalesce(new Map([['t', table], ['o', other]])), maxNorm, scale); // biome-ignore format: one sentence
          expect(Math.abs(found.norm.item() / norm - 1)).toBeLessThan(1e-5);
          const wanted = Math.min(1, maxNorm / (norm + 1e-6)) * scale;
          expect(Math.abs(found.factor.item() / wanted - 1)).toBeLessThan(1e-5);
        }
      },
    );

    test('a gradient of zeros and one without rows are not scaled', () => {
      const nothing = new Map<string, Gradient>([
        ['zeros', make([0, 0], [2])],
        ['none', { ids: new Int32Array(0), rows: make([], [0, C]) }],
      ]);
      const { norm, factor } = clipFactor(nothing, 1);
      expect([norm.item(), factor.item()]).toEqual([0, 1]);
    });
  });

  property(
    'the weight average moves by (1 - decay) of the distance, faster during its first steps',
    fc.record({ decay: fc.constantFrom(0, 0.5, 0.99), steps: fc.integer({ min: 1, max: 30 }), seed: seeds }),
    30,
    ({ decay, steps, seed }) => {
      const random = new Random(seed);
      const params = table();
      const ema = new WeightAverage(params, decay);
      const wanted = Float64Array.from(initial);
      for (let step = 1; step <= steps; step++) {
        const p = random.fillNormal(new Float32Array(V * C));
        params.table.assign(p);
        ema.update(params, step);
        const kept = Math.min(decay, (1 + step) / (10 + step));
        for (let i = 0; i < p.length; i++) wanted[i] = kept * wanted[i] + (1 - kept) * p[i];
      }
      expect(distance(ema.average.get('table')!.readSync(), wanted)).toBeLessThan(1e-5);
    },
  );

  test('a decay outside [0, 1) is refused', () => {
    for (const decay of [1, -0.1, Number.NaN]) {
      expect(() => new WeightAverage(table(), decay)).toThrow(`ema decay must be in [0, 1), got ${decay}`);
    }
  });
});

test('a large table is caught up in pieces, so that no more than a few of them are in the memory of the kernels', () => {
  const [rows, columns] = [40_000, 128];
  const backends = [createWasmBackend({ outsideBytes: 1 << 20 }), createWasmBackend()];
  const tables = backends.map((backend) => {
    const values = new Random(1).fillNormal(new Float32Array(rows * columns));
    const params = { table: tensor(values, [rows, columns], { backend }) };
    const optimizer = new AdamW(params);
    const widest = { rows: 0 };
    const { run } = backend;
    backend.run = (kernel, outs, ins, attrs) => {
      if (kernel === 'adamwCatchUp') widest.rows = Math.max(widest.rows, ins[3].shape[0]);
      run.call(backend, kernel, outs, ins, attrs);
    };
    for (const row of [0, rows - 1, 7]) {
      const gradient = {
        ids: Int32Array.of(row),
        rows: tensor(values.subarray(0, columns), [1, columns], { backend }),
      };
      optimizer.step(new Map([['table', gradient]]), 0.1);
    }
    const before = params.table.readSync().slice();
    const caughtUp = optimizer.caughtUp().get('table')!.readSync().slice() as Float32Array;
    expect(firstDifference(params.table.readSync().slice() as Float32Array, before as Float32Array)).toBeNull();
    expect(widest.rows).toBeGreaterThan(10_000);
    expect(widest.rows * columns).toBeLessThanOrEqual(1 << 22);
    optimizer.catchUpAll();
    expect(firstDifference(params.table.readSync() as Float32Array, caughtUp)).toBeNull();
    return caughtUp;
  });
  expect(firstDifference(tables[0], tables[1])).toBeNull();
});
