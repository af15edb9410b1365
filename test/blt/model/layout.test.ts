import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildLayout, byteLayout, type Interval, type PatchedRow } from '../../../packages/blt/src/model/layout.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

/** The mask an interval stands for: 1 = visible. */
function dense({ lo, hi }: Interval, keys: number): number[][] {
  return [...lo].map((from, i) => Array.from({ length: keys }, (_, j) => (j >= from && j < hi[i] ? 1 : 0)));
}
/** Rows and columns of one row of the batch, out of a mask over all of them. */
const block = (mask: number[][], r0: number, r1: number, c0: number, c1: number): number[][] =>
  mask.slice(r0, r1).map((line) => line.slice(c0, c1));
const firstOf = (mask: number[][], rows: number, columns: number): number[][] => block(mask, 0, rows, 0, columns);
const withoutPadding = (lengths: number[]): Int32Array => Int32Array.from(lengths.filter((length) => length > 0));

interface GoldenMasks {
  cases: {
    patch_lengths: number[][];
    seq_len: number;
    patch_ids: number[][];
    decoder_patch_ids: number[][];
    enc_masks: Record<string, number[][][]>;
    dec_masks: Record<string, number[][][]>;
  }[];
}
interface GoldenDocuments {
  cases: {
    tokens: number[][];
    window: number;
    eos_id: number;
    patch_lengths: number[][];
    decoder_patch_ids: number[][];
    local_mask: number[][][];
    global_mask: number[][][];
  }[];
}

describe('golden', () => {
  const { cases } = fixture<GoldenMasks>('patch_ids_masks.json');
  test.each(cases)('cross-attention masks of $patch_lengths', (c) => {
    const S = c.seq_len;
    const rows = c.patch_lengths.map((lengths) => ({
      ids: new Int32Array(S).fill(70),
      patchLengths: withoutPadding(lengths),
    }));
    for (const k of [1, 2, 3]) {
      for (const [suffix, w] of [
        ['wNone', 1],
        ['w2', 2],
      ] as const) {
        const layout = buildLayout(rows, {
          k,
          window: null,
          documents: true,
          crossWindowEncoder: w,
          crossWindowDecoder: w,
        });
        const enc = dense(layout.encoderCross, layout.bytes);
        const dec = dense(layout.decoderCross, layout.patches * k);
        let p0 = 0;
        c.patch_lengths.forEach((_, r) => {
          const b0 = r * S;
          const P = layout.patchOfByte[b0 + S - 1] + 1 - p0;
          const patchIds = [...layout.patchOfByte.slice(b0, b0 + S)].map((p) => p - p0);
          expect(patchIds).toEqual(c.patch_ids[r]);
          // Patches without a visible byte (padding, the unseen token) have no rows here.
          const goldenEnc = c.enc_masks[`k${k}_${suffix}`][r].slice(0, P * k);
          expect(block(enc, p0 * k, (p0 + P) * k, b0, b0 + S)).toEqual(goldenEnc);
          const goldenDec = c.dec_masks[`k${k}_${suffix}`][r];
          expect(block(dec, b0, b0 + S, p0 * k, (p0 + P) * k)).toEqual(firstOf(goldenDec, S, P * k));
          expect(goldenDec.flatMap((line) => line.slice(P * k)).every((x) => x === 0)).toBe(true);
          p0 += P;
        });
        expect(p0).toBe(layout.patches);
      }
    }
  });

  const documents = fixture<GoldenDocuments>('document_masks.json').cases;
  test.each(documents)('local and global masks with documents, $patch_lengths', (c) => {
    const rows = c.tokens.map((tokens, r) => ({
      ids: Int32Array.from(tokens),
      patchLengths: withoutPadding(c.patch_lengths[r]),
    }));
    const layout = buildLayout(rows, { k: 2, window: c.window, documents: true, eos: c.eos_id });
    const local = dense(layout.local, layout.bytes);
    const global = dense(layout.global, layout.patches);
    let p0 = 0;
    c.tokens.forEach((tokens, r) => {
      const S = tokens.length;
      const b0 = layout.rowStarts[r];
      const P = layout.patchOfByte[b0 + S - 1] + 1 - p0;
      expect(block(local, b0, b0 + S, b0, b0 + S)).toEqual(c.local_mask[r]);
      expect(block(global, p0, p0 + P, p0, p0 + P)).toEqual(firstOf(c.global_mask[r], P, P));
      const d = [...layout.decoderCross.lo.slice(b0, b0 + S)].map((lo) => lo / 2 - p0);
      expect(d).toEqual(c.decoder_patch_ids[r]);
      p0 += P;
    });
  });

  test('documents end after EOS', () => {
    type Seqlens = { tokens_to_seqlen: { tokens: number[][]; eos_id: number; seqlens: number[] }[] };
    for (const c of fixture<Seqlens>('patch_ids_masks.json').tokens_to_seqlen) {
      const rows = c.tokens.map((t) => Int32Array.from(t));
      const { local, bytes } = byteLayout(rows, { window: null, documents: true, eos: c.eos_id });
      const starts = [...new Set(local.lo), bytes];
      expect(starts.slice(1).map((start, j) => start - starts[j])).toEqual(c.seqlens);
    }
  });
});

/** A row of up to 16 bytes with many EOS, cut anywhere (first patch 1). */
const patchedRow: fc.Arbitrary<PatchedRow> = fc
  .array(fc.tuple(fc.constantFrom(2, 70, 71, 72, 73), fc.boolean()), { minLength: 1, maxLength: 16 })
  .map((pairs) => {
    const lengths = [1, 1];
    for (const [, cut] of pairs.slice(1)) {
      if (cut) lengths.push(1);
      else lengths[lengths.length - 1]++;
    }
    return { ids: Int32Array.from(pairs, ([id]) => id), patchLengths: Int32Array.from(lengths) };
  });
const batch = fc.array(patchedRow, { minLength: 1, maxLength: 4 });
const options = fc.record({
  k: fc.integer({ min: 1, max: 3 }),
  window: fc.option(fc.integer({ min: 1, max: 8 })),
  documents: fc.boolean(),
  crossWindowEncoder: fc.integer({ min: 1, max: 3 }),
  crossWindowDecoder: fc.integer({ min: 1, max: 3 }),
});

test('every interval is the mask that its definition in words gives', () => {
  fc.assert(
    fc.property(batch, options, (rows, o) => {
      const layout = buildLayout(rows, o);
      // Bytes and patches one by one, with their row, patch (the next token included) and document.
      const bytes = rows.flatMap(({ ids, patchLengths }, r) => {
        const patchOf = [...patchLengths].flatMap((length, j) => Array<number>(length).fill(j));
        return [...ids].map((id, i) => {
          const document = ids.slice(0, i).filter((x) => x === 2).length;
          return { r, i, id, patch: patchOf[i], d: patchOf[i + 1] - 1, document };
        });
      });
      const patches = bytes
        .filter((b, n) => n === 0 || b.r !== bytes[n - 1].r || b.patch !== bytes[n - 1].patch)
        .map(({ r, patch }) => {
          const closed = (p: number) => bytes.some((b) => b.r === r && b.patch === p && b.id === 2);
          return { r, j: patch, document: Array.from({ length: patch }, (_, p) => closed(p)).filter(Boolean).length };
        });
      const sameDocument = (a: { document: number }, b: { document: number }) =>
        !o.documents || a.document === b.document;
      const mask = <Q, K>(queries: Q[], keys: K[], sees: (q: Q, key: K) => boolean): number[][] =>
        queries.map((q) => keys.map((key) => (sees(q, key) ? 1 : 0)));
      const repeated = patches.flatMap((p) => Array<(typeof patches)[0]>(o.k).fill(p));

      expect(dense(layout.local, layout.bytes)).toEqual(
        mask(bytes, bytes, (q, key) => {
          const near = o.window === null || q.i - key.i < o.window;
          return q.r === key.r && key.i <= q.i && near && sameDocument(q, key);
        }),
      );
      expect(dense(layout.global, layout.patches)).toEqual(
        mask(patches, patches, (q, key) => q.r === key.r && key.j <= q.j && sameDocument(q, key)),
      );
      expect(dense(layout.encoderCross, layout.bytes)).toEqual(
        mask(repeated, bytes, (q, key) => q.r === key.r && key.patch <= q.j && key.patch > q.j - o.crossWindowEncoder),
      );
      expect(dense(layout.decoderCross, layout.patches * o.k)).toEqual(
        mask(bytes, repeated, (q, key) => q.r === key.r && key.j <= q.d && key.j > q.d - o.crossWindowDecoder),
      );
      expect([...layout.patchOfByte]).toEqual(
        bytes.map((b) => patches.findIndex((p) => p.r === b.r && p.j === b.patch)),
      );
      expect([...layout.positions]).toEqual(bytes.map((b) => b.i));
      expect([...layout.patchPositions]).toEqual(patches.map((p) => p.j));
      expect([...layout.ids]).toEqual(bytes.map((b) => b.id));
    }),
    { numRuns: runs(150) },
  );
});

test('intervals never decrease, and no decoder row is blind', () => {
  fc.assert(
    fc.property(batch, options, (rows, o) => {
      const layout = buildLayout(rows, o);
      for (const { lo, hi } of [layout.local, layout.global, layout.encoderCross, layout.decoderCross]) {
        for (let i = 0; i < lo.length; i++) {
          expect(hi[i]).toBeGreaterThan(lo[i]);
          if (i > 0) expect(lo[i] >= lo[i - 1] && hi[i] >= hi[i - 1]).toBe(true);
        }
      }
    }),
    { numRuns: runs(100) },
  );
});

test('the queries that see a key are an interval too, from the first row with hi > j to the last with lo <= j', () => {
  fc.assert(
    fc.property(batch, options, (rows, o) => {
      const layout = buildLayout(rows, o);
      const patterns = [
        { interval: layout.local, keys: layout.bytes },
        { interval: layout.global, keys: layout.patches },
        { interval: layout.encoderCross, keys: layout.bytes },
        { interval: layout.decoderCross, keys: layout.patches * o.k },
      ];
      for (const { interval, keys } of patterns) {
        const { lo, hi } = interval;
        const mask = dense(interval, keys);
        const firstRow = (is: (i: number) => boolean) => {
          const i = mask.findIndex((_, row) => is(row));
          return i < 0 ? mask.length : i;
        };
        const a = Array.from({ length: keys }, (_, j) => firstRow((i) => hi[i] > j));
        const b = Array.from({ length: keys }, (_, j) => firstRow((i) => lo[i] > j));
        for (let j = 0; j < keys; j++) {
          expect(mask.map((row) => row[j])).toEqual(mask.map((_, i) => (i >= a[j] && i < b[j] ? 1 : 0)));
          if (j > 0) expect(a[j] >= a[j - 1] && b[j] >= b[j - 1]).toBe(true);
        }
      }
    }),
    { numRuns: runs(60) },
  );
});

test('batch independence: a row looks the same alone and between others', () => {
  fc.assert(
    fc.property(batch, options, (rows, o) => {
      const whole = buildLayout(rows, o);
      let b0 = 0;
      let p0 = 0;
      for (const row of rows) {
        const alone = buildLayout([row], o);
        const shifted = (a: Int32Array, by: number) => [...a].map((x) => x + by);
        const part = (a: Int32Array, from: number, n: number) => [...a.slice(from, from + n)];
        expect(part(whole.local.lo, b0, alone.bytes)).toEqual(shifted(alone.local.lo, b0));
        expect(part(whole.global.lo, p0, alone.patches)).toEqual(shifted(alone.global.lo, p0));
        expect(part(whole.encoderCross.hi, p0 * o.k, alone.patches * o.k)).toEqual(shifted(alone.encoderCross.hi, b0));
        expect(part(whole.decoderCross.hi, b0, alone.bytes)).toEqual(shifted(alone.decoderCross.hi, p0 * o.k));
        expect(part(whole.patchStarts, p0, alone.patches)).toEqual(shifted(alone.patchStarts.slice(0, -1), b0));
        b0 += alone.bytes;
        p0 += alone.patches;
      }
      expect([whole.bytes, whole.patches]).toEqual([b0, p0]);
    }),
    { numRuns: runs(100) },
  );
});

test('bad rows and options are refused in one sentence', () => {
  const o = { k: 2, window: 4, documents: true };
  const of = (S: number, lengths: number[]) => [
    { ids: new Int32Array(S).fill(70), patchLengths: Int32Array.from(lengths) },
  ];
  expect(() => buildLayout(of(3, [1, 2]), o)).toThrow('sum to 3 but must cover its 3 bytes and the next token, 4');
  expect(() => buildLayout(of(3, [2, 2]), o)).toThrow('first patch of row 0 has length 2 but must have 1');
  expect(() => buildLayout(of(3, [1, 0, 3]), o)).toThrow('patch 1 of row 0 has length 0');
  expect(() => buildLayout(of(3, [1, 3]), { ...o, k: 0 })).toThrow('k must be an integer >= 1, got 0');
  expect(() => buildLayout(of(3, [1, 3]), { ...o, window: 0 })).toThrow('window must be an integer >= 1, got 0');
  expect(() => buildLayout(of(0, [1]), o)).toThrow('row 0 is empty');
  expect(() => buildLayout([], o)).toThrow('at least one row');
});
