import fc from 'fast-check';
import { expect, test } from 'vitest';
import { argmax, type SamplingOptions, sampleLogits } from '../../../packages/blt/src/decoding/sampling.ts';
import { runs } from '../../support/runs.ts';

/** Few levels, so that ties happen. */
const logits = fc
  .array(fc.oneof(fc.integer({ min: -32, max: 32 }), fc.constantFrom(0, 8)), { minLength: 1, maxLength: 12 })
  .map((a) => Float32Array.from(a, (i) => i / 8));
const uniform = fc.integer({ min: 0, max: 2 ** 20 - 1 }).map((i) => i / 2 ** 20);
const temperature = fc.integer({ min: 1, max: 32 }).map((t) => t / 8);

/** Every class some uniform number leads to, found on a fine grid, with how often. */
function support(z: Float32Array, options: SamplingOptions, grid = 4096): Map<number, number> {
  const counts = new Map<number, number>();
  for (let n = 0; n < grid; n++) {
    const drawn = sampleLogits(z, options, () => (n + 0.5) / grid);
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1 / grid);
  }
  return counts;
}
function softmax(z: Float32Array, t: number): number[] {
  const e = [...z].map((x) => Math.exp(x / t));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

test('temperature 0 takes the first highest logit and draws no number', () => {
  fc.assert(
    fc.property(logits, (z) => {
      const unused = () => {
        throw new Error('drawn');
      };
      const greedy = sampleLogits(z, { temperature: 0 }, unused);
      expect(greedy).toBe(z.indexOf(Math.max(...z)));
      expect(argmax(z)).toBe(greedy);
    }),
    { numRuns: runs(100) },
  );
});

test('uniform numbers are spread over the classes as softmax(logits / temperature)', () => {
  fc.assert(
    fc.property(logits, temperature, (z, t) => {
      const counts = support(z, { temperature: t });
      softmax(z, t).forEach((p, i) => {
        expect(Math.abs((counts.get(i) ?? 0) - p)).toBeLessThanOrEqual(1 / 4096);
      });
    }),
    { numRuns: runs(30) },
  );
});

test('topK keeps exactly the classes not below the K-th highest logit, in unchanged proportions', () => {
  fc.assert(
    fc.property(logits, temperature, fc.integer({ min: 1, max: 14 }), (z, t, topK) => {
      const last = [...z].sort((a, b) => b - a)[Math.min(topK, z.length) - 1];
      const p = softmax(z, t).map((x, i) => (z[i] >= last ? x : 0));
      const mass = p.reduce((a, b) => a + b);
      const counts = support(z, { temperature: t, topK });
      p.forEach((x, i) => {
        expect(Math.abs((counts.get(i) ?? 0) - x / mass)).toBeLessThanOrEqual(1 / 4096);
      });
    }),
    { numRuns: runs(30) },
  );
});

test('topP drops a class if the mass before it exceeds topP, among those that topK has left', () => {
  fc.assert(
    fc.property(logits, fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 14 }), (z, i, k) => {
      const topP = (i - 0.37) / 64; // off any mass that ties could make exact
      const topK = k > 12 ? null : k;
      const last = [...z].sort((a, b) => b - a)[Math.min(topK ?? z.length, z.length) - 1];
      const all = softmax(z, 1).map((x, j) => (z[j] >= last ? x : 0));
      const left = all.reduce((a, b) => a + b);
      const p = all.map((x) => x / left);
      const order = p.map((_, j) => j).sort((a, b) => p[b] - p[a] || a - b);
      let before = 0;
      const kept = order.filter((j) => {
        const stays = before <= topP && p[j] > 0;
        before += p[j];
        return stays;
      });
      const mass = kept.reduce((a, j) => a + p[j], 0);
      const counts = support(z, { topP, topK });
      p.forEach((x, j) => {
        const expected = kept.includes(j) ? x / mass : 0;
        expect(Math.abs((counts.get(j) ?? 0) - expected)).toBeLessThanOrEqual(1 / 4096);
      });
    }),
    { numRuns: runs(30) },
  );
});

test('minP drops the classes below its share of the largest probability, and no other, with topK too', () => {
  fc.assert(
    fc.property(logits, temperature, fc.integer({ min: 1, max: 63 }), (z, t, i) => {
      const minP = (i - 0.37) / 64; // off any share that ties could make exact
      const p = softmax(z, t);
      const largest = Math.max(...p);
      const counts = support(z, { temperature: t, minP });
      const kept = p.filter((x) => x >= minP * largest).reduce((a, b) => a + b, 0);
      p.forEach((x, v) => {
        const want = x >= minP * largest ? x / kept : 0;
        expect(Math.abs((counts.get(v) ?? 0) - want)).toBeLessThan(2 / 4096);
      });
      const both = support(z, { temperature: t, minP, topK: 1 });
      for (const v of both.keys()) expect(z[v]).toBe(Math.max(...z));
    }),
    { numRuns: runs(20) },
  );
});

test('topP = 1 and topK >= V change nothing, alone or with the other, and topK = 1 without ties is greedy', () => {
  fc.assert(
    fc.property(logits, temperature, uniform, fc.integer({ min: 1, max: 12 }), (z, t, u, k) => {
      const free = sampleLogits(z, { temperature: t }, () => u);
      expect(sampleLogits(z, { temperature: t, topK: z.length }, () => u)).toBe(free);
      expect(sampleLogits(z, { temperature: t, topP: 1 }, () => u)).toBe(free);
      const some = sampleLogits(z, { temperature: t, topK: k }, () => u);
      expect(sampleLogits(z, { temperature: t, topK: k, topP: 1 }, () => u)).toBe(some);
      const nucleus = sampleLogits(z, { temperature: t, topP: k / 13 }, () => u);
      expect(sampleLogits(z, { temperature: t, topP: k / 13, topK: z.length + k }, () => u)).toBe(nucleus);
      if (z.filter((x) => x === Math.max(...z)).length === 1) {
        expect(sampleLogits(z, { temperature: t, topK: 1 }, () => u)).toBe(argmax(z));
      }
    }),
    { numRuns: runs(100) },
  );
});

test('adding a constant to the logits changes no draw, and a banned class is never drawn', () => {
  fc.assert(
    fc.property(logits, uniform, fc.nat(), (z, u, at) => {
      const draw = (x: Float32Array) => sampleLogits(x, {}, () => u);
      expect(draw(z.map((x) => x + 16))).toBe(draw(z));
      const banned = at % z.length;
      fc.pre(z.length > 1);
      const without = Float32Array.from(z, (x, i) => (i === banned ? Number.NEGATIVE_INFINITY : x));
      for (const o of [{}, { topP: 1 }, { topK: z.length }]) {
        expect(sampleLogits(without, o, () => u)).not.toBe(banned);
        expect(sampleLogits(without, o, () => 1 - 2 ** -53)).not.toBe(banned);
      }
    }),
    { numRuns: runs(100) },
  );
});

test('parameters out of range and logits that are no numbers are refused', () => {
  const draw =
    (o: SamplingOptions, z = Float32Array.of(0, 1)) =>
    () =>
      sampleLogits(z, o, () => 0);
  expect(draw({ temperature: -1 })).toThrow('temperature must be a finite number >= 0, got -1');
  expect(draw({ temperature: Number.NaN })).toThrow('got NaN');
  expect(draw({ topK: 0 })).toThrow('topK must be an integer >= 1, got 0');
  expect(draw({ topP: 0 })).toThrow('topP must be above 0 and at most 1, got 0');
  expect(draw({ topP: 1.5 })).toThrow('got 1.5');
  expect(draw({ minP: -0.1 })).toThrow('sampling: minP must be 0 .. 1, got -0.1; leave it out to keep all classes');
  expect(draw({}, Float32Array.of(0, Number.NaN))).toThrow('logit 1 is NaN');
  expect(draw({}, Float32Array.of(Number.NEGATIVE_INFINITY))).toThrow('none of the 1 classes');
  expect(draw({}, new Float32Array(0))).toThrow('none of the 0 classes');
});
