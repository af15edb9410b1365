import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  boundaryRule,
  modelPatchLengths,
  type PatchingOptions,
  patchLengths,
  segmentLengths,
  splitFirstPatch,
  splitLongPatches,
} from '../../../packages/blt/src/patching/boundaries.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

interface GoldenCase {
  name: string;
  args?: {
    patching_mode?: string;
    threshold?: number;
    monotonicity?: boolean;
    threshold_add?: number;
    max_patch_length?: number;
    patch_size?: number;
  };
  include_next_token: boolean;
  tokens: number[][];
  entropies: number[][] | null;
  patch_lengths?: number[][];
  patch_start_ids?: number[][];
  error?: string;
  patch_size?: number;
  patch_lengths_next_tok: number[][];
}
const { cases } = fixture<{ cases: GoldenCase[] }>('patching.json');

function optionsOf({ args = {} }: GoldenCase): PatchingOptions {
  const maxPatchLength = args.max_patch_length ?? null;
  const mode = args.patching_mode ?? 'entropy';
  if (mode === 'static') return { mode, patchSize: args.patch_size!, maxPatchLength };
  if (mode !== 'entropy') return { mode: mode as 'space' | 'byte' | 'bpe', maxPatchLength };
  return {
    mode,
    threshold: args.threshold!,
    monotonic: args.monotonicity,
    thresholdAdd: args.threshold_add,
    maxPatchLength,
  };
}
const withoutPadding = (lengths: number[]): number[] => lengths.filter((length) => length > 0);

describe('golden', () => {
  const patcherCases = cases.filter((c) => c.args && !c.error);
  test.each(patcherCases)('$name, next token $include_next_token', (c) => {
    c.tokens.forEach((tokens, b) => {
      const H = c.entropies && Float32Array.from(c.entropies[b]);
      const options = optionsOf(c);
      const lengths = patchLengths(Int32Array.from(tokens), H, options, { includeNextToken: c.include_next_token });
      expect([...lengths]).toEqual(withoutPadding(c.patch_lengths![b]));
      if (c.patch_start_ids) {
        const uncut = patchLengths(
          Int32Array.from(tokens),
          H,
          { ...options, maxPatchLength: null },
          {
            includeNextToken: c.include_next_token,
          },
        );
        const total = tokens.length + (c.include_next_token ? 1 : 0);
        let end = 0;
        const starts = [...uncut].map((length) => (end += length) - length);
        // The file pads short rows with the total, and names start 1 even where a row of one token ends before it.
        expect(starts).toEqual(c.patch_start_ids[b].filter((start) => start < total));
      }
    });
  });
  test('the cases that fail in the reference: a fractional patch size is refused, rows of unequal counts just work', () => {
    const failing = cases.filter((c) => c.error);
    expect(failing.map((c) => c.name)).toEqual(['static4.5_fails', 'static4.5_fails', 'batch2_space']);
    for (const c of failing) {
      const cut = () =>
        c.tokens.map((t) =>
          patchLengths(Int32Array.from(t), null, optionsOf(c), { includeNextToken: c.include_next_token }),
        );
      if (c.name === 'batch2_space')
        expect(cut().map((l) => [...l])).toEqual([
          [1, 6, 5, 5],
          [1, 16],
        ]);
      else expect(cut).toThrow('patchSize must be an integer >= 1, got 4.5');
    }
  });
  test('all 70 cases were used but the two of top-k patching, which cannot decode byte by byte', () => {
    expect(cases.filter((c) => !c.args).length).toBe(2);
    expect(cases.length).toBe(70);
    expect(patcherCases.length + 3 + 2).toBe(70);
  });
  test.each(fixture<{ lengths: number[]; max: number; out: number[] }[]>('split_large_numbers.json'))(
    'split $lengths at $max',
    ({ lengths, max, out }) => {
      const split = [...splitLongPatches(Int32Array.from(lengths), max)];
      expect(split).toEqual(out);
    },
  );
});

const row = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 259 }), fc.integer({ min: 0, max: 48 })), { minLength: 1, maxLength: 40 })
  .map((pairs) => ({
    ids: Int32Array.from(pairs, ([id]) => id),
    // Few distinct values, so that ties with the threshold and between neighbours happen.
    H: Float32Array.from(pairs, ([, h]) => h / 8),
  }));
const maxPatchLength = fc.option(fc.integer({ min: 1, max: 6 }));
const nats = fc.integer({ min: -16, max: 48 }).map((h) => h / 8);
const anyOptions: fc.Arbitrary<PatchingOptions> = fc.oneof(
  fc.record({
    mode: fc.constant('entropy' as const),
    threshold: nats,
    monotonic: fc.boolean(),
    thresholdAdd: fc.option(nats),
    maxPatchLength,
  }),
  fc.record({ mode: fc.constantFrom('space' as const, 'byte' as const, 'bpe' as const), maxPatchLength }),
  fc.record({ mode: fc.constant('static' as const), patchSize: fc.integer({ min: 1, max: 7 }), maxPatchLength }),
);
const sum = (a: Int32Array): number => a.reduce((x, y) => x + y, 0);
const startsOf = (lengths: Int32Array): number[] => {
  let end = 0;
  return [...lengths].map((length) => (end += length) - length);
};

describe('laws of every mode', () => {
  test('lengths are positive, add up to the row, and respect maxPatchLength', () => {
    fc.assert(
      fc.property(row, anyOptions, fc.boolean(), ({ ids, H }, options, includeNextToken) => {
        const lengths = patchLengths(ids, H, options, { includeNextToken });
        expect(sum(lengths)).toBe(ids.length + (includeNextToken ? 1 : 0));
        expect(Math.min(...lengths)).toBeGreaterThanOrEqual(1);
        if (options.maxPatchLength != null) {
          expect(Math.max(...lengths)).toBeLessThanOrEqual(options.maxPatchLength);
        }
      }),
      { numRuns: runs(200) },
    );
  });
  test('without the next token the lengths are the same cut, one token shorter', () => {
    fc.assert(
      fc.property(row, anyOptions, ({ ids, H }, options) => {
        const longer = startsOf(patchLengths(ids, H, options, { includeNextToken: true }));
        const shorter = startsOf(patchLengths(ids, H, options, { includeNextToken: false }));
        expect(shorter).toEqual(longer.filter((start) => start < ids.length));
      }),
      { numRuns: runs(200) },
    );
  });
  test('causality: a prefix of the row is cut like the row', () => {
    fc.assert(
      fc.property(row, anyOptions, fc.nat(), ({ ids, H }, options, at) => {
        const n = 1 + (at % ids.length);
        const whole = startsOf(modelPatchLengths(ids, H, options));
        const prefix = startsOf(modelPatchLengths(ids.slice(0, n), H.slice(0, n), options));
        expect(prefix).toEqual(whole.filter((start) => start <= n));
      }),
      { numRuns: runs(200) },
    );
  });
  test('the model gets a first patch of length 1; only static patches change for it', () => {
    fc.assert(
      fc.property(row, anyOptions, ({ ids, H }, options) => {
        const lengths = modelPatchLengths(ids, H, options);
        expect(lengths[0]).toBe(1);
        expect(sum(lengths)).toBe(ids.length + 1);
        if (options.mode !== 'static') {
          expect(lengths).toEqual(patchLengths(ids, H, options, { includeNextToken: true }));
        }
      }),
      { numRuns: runs(200) },
    );
  });
  test('byte by byte: a patch opens where the rule says so or the open patch is full', () => {
    fc.assert(
      fc.property(row, anyOptions, ({ ids, H }, options) => {
        const rule = boundaryRule(options);
        const max = options.maxPatchLength ?? Number.POSITIVE_INFINITY;
        const lengths = [1];
        for (let i = 0; i < ids.length; i++) {
          const opens = i === 0 || rule(i, ids[i], ids[i - 1], H[i], H[i - 1]) || lengths[lengths.length - 1] >= max;
          if (opens) lengths.push(1);
          else lengths[lengths.length - 1]++;
        }
        expect([...modelPatchLengths(ids, H, options)]).toEqual(lengths);
      }),
      { numRuns: runs(200) },
    );
  });
});

test('thresholds and rises are compared in float32 and strictly', () => {
  const ids = Int32Array.of(1, 70, 71, 72);
  const next = { includeNextToken: true };
  const h = Math.fround(0.1);
  const global = patchLengths(ids, Float32Array.of(9, h, h, h), { mode: 'entropy', threshold: 0.1 }, next);
  expect([...global]).toEqual([1, 4]); // float64 would find fround(0.1) > 0.1
  // The rise is 2 + 2^-24 exactly, which float32 rounds to 2.
  const H = Float32Array.of(9, 3, 0.75 * 2 ** -22, 2 + 2 ** -22);
  const monotonic = patchLengths(ids, H, { mode: 'entropy', threshold: 2, monotonic: true }, next);
  expect([...monotonic]).toEqual([1, 1, 3]);
});

test('the combined rule never cuts after position 2', () => {
  const options = { mode: 'entropy', threshold: 0, thresholdAdd: 0 } as const;
  const H = Float32Array.of(0, 1, 2, 3, 4);
  const lengths = patchLengths(Int32Array.of(1, 70, 70, 70, 70), H, options, { includeNextToken: true });
  expect([...lengths]).toEqual([1, 1, 2, 1, 1]);
  const strict = patchLengths(
    Int32Array.of(1, 70, 70, 70, 70),
    H,
    { ...options, thresholdAdd: 1 },
    { includeNextToken: true },
  );
  expect([...strict]).toEqual([1, 1, 4]); // every rise is exactly 1
});

test('splitFirstPatch cuts the first byte off, and only that', () => {
  expect([...splitFirstPatch(Int32Array.of(4, 4, 2))]).toEqual([1, 3, 4, 2]);
  expect([...splitFirstPatch(Int32Array.of(1, 4))]).toEqual([1, 4]);
});

test('options that make no sense are refused in one sentence', () => {
  const ids = Int32Array.of(1, 70);
  const H = Float32Array.of(1, 1);
  const cut =
    (options: PatchingOptions, entropies: Float32Array | null = H) =>
    () =>
      patchLengths(ids, entropies, options, { includeNextToken: true });
  expect(cut({ mode: 'static', patchSize: 0 })).toThrow('patchSize must be an integer >= 1, got 0');
  expect(cut({ mode: 'byte', maxPatchLength: 0 })).toThrow('maxPatchLength must be an integer >= 1, got 0');
  expect(cut({ mode: 'entropy', threshold: Number.NaN })).toThrow('threshold must be a finite number of nats, got NaN');
  expect(cut({ mode: 'entropy', threshold: 1 }, null)).toThrow('needs the entropies of the row, got null');
  expect(cut({ mode: 'entropy', threshold: 1 }, Float32Array.of(1))).toThrow('got 1 for 2 ids');
  expect(cut({ mode: 'words' } as unknown as PatchingOptions)).toThrow("unknown mode 'words'");
  expect(() => splitLongPatches(ids, 1.5)).toThrow('max must be an integer >= 1, got 1.5');
});

test('a row cut in stretches, anywhere, has the patches of the whole row; so a stretch needs one entropy from before it', () => {
  const stops = fc.uniqueArray(fc.integer({ min: 1, max: 39 }), { maxLength: 5 });
  fc.assert(
    fc.property(row, stops, anyOptions, fc.boolean(), ({ ids, H }, stops, options, next) => {
      const ends = [...stops.filter((s) => s < ids.length).sort((a, b) => a - b), ids.length + (next ? 1 : 0)];
      const joined: number[] = [];
      let open = false;
      ends.forEach((to, s) => {
        const from = s === 0 ? 0 : ends[s - 1];
        // Other entropies are not known to this machine.
        const seen = H.map((h, i) => (i >= from - 1 && i < to ? h : Number.NaN));
        const stretch = segmentLengths(ids, from, to, seen, options);
        expect(stretch.lengths.reduce((a, b) => a + b, 0)).toBe(to - from);
        if (open) joined[joined.length - 1] += stretch.lengths[0];
        joined.push(...stretch.lengths.subarray(open ? 1 : 0));
        ({ open } = stretch);
      });
      expect(open).toBe(false);
      const { maxPatchLength } = options;
      const lengths = Int32Array.from(joined);
      expect(maxPatchLength == null ? lengths : splitLongPatches(lengths, maxPatchLength)).toEqual(
        patchLengths(ids, H, options, { includeNextToken: next }),
      );
    }),
    { numRuns: runs(300) },
  );
});
