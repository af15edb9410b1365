import {
  type BltConfig,
  BYTE_OFFSET,
  countBytes,
  encode,
  evaluateBlt,
  evaluateEntropyModel,
  evaluationRows,
  layoutOptions,
  type PatchedDocument,
  patchLengths,
  type RowLimits,
  rowLimits,
  transformerConfig,
} from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../../support/property.ts';
import { smallModel } from '../../support/small-model.ts';

// ----- rows -----------------------------------------------------------------------------------------------------------

/** Documents whose tokens are all different, so that a token names its place; patches of one token up to most of a row. */
const documents: fc.Arbitrary<PatchedDocument[]> = fc
  .array(
    fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 })), {
      minLength: 1,
      maxLength: 20,
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((all) => {
    let next = 1000;
    return all.map((lengths) => ({
      ids: Int32Array.from({ length: lengths.reduce((a, b) => a + b) }, () => next++),
      patchLengths: Int32Array.from(lengths),
    }));
  });
const cutting = fc
  .record({
    patchesPerRow: fc.integer({ min: 2, max: 9 }),
    maxPatches: fc.integer({ min: 2, max: 12 }),
    maxBytes: fc.integer({ min: 1, max: 40 }),
    part: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ patchesPerRow, maxPatches, maxBytes, part }) => ({
    patchesPerRow,
    limits: { maxPatches, maxBytes },
    stride: Math.min(part, patchesPerRow),
  }));
const rowsOf = fc.tuple(documents, cutting);
const ENDLESS: RowLimits = { maxPatches: 1e9, maxBytes: 1e9 };

/** How rows were cut before they had limits. */
function rowsByPatchesAlone(docs: readonly PatchedDocument[], patchesPerRow: number, stride: number) {
  const rows: { ids: number[]; patchLengths: number[]; scoredFrom: number }[] = [];
  for (const { ids, patchLengths } of docs) {
    const starts = [0];
    for (const length of patchLengths) starts.push(starts.at(-1)! + length);
    let scored = 1;
    for (let first = 0; scored < ids.length; ) {
      const last = Math.min(first + patchesPerRow, patchLengths.length);
      const [begin, end] = [starts[first], starts[last]];
      const length = starts[first + 1] - begin;
      const lengths = [1, ...(length > 1 ? [length - 1] : []), ...patchLengths.subarray(first + 1, last)];
      rows.push({ ids: [...ids.slice(begin, end - 1)], patchLengths: lengths, scoredFrom: scored - begin - 1 });
      scored = end;
      first = Math.max(first + 1, last - Math.max(1, patchesPerRow - stride));
      if (last === patchLengths.length) break;
    }
  }
  return rows;
}

describe('evaluationRows', () => {
  property('every token but the first of each document is scored exactly once, in order', rowsOf, 300, ([docs, o]) => {
    const scored = evaluationRows(docs, o).flatMap(({ targets, scoredFrom }) => [...targets.subarray(scoredFrom)]);
    expect(scored).toEqual(docs.flatMap(({ ids }) => [...ids.subarray(1)]));
  });

  property('no row is beyond a limit, and each is one that the model takes', rowsOf, 300, ([docs, o]) => {
    for (const { ids, targets, patchLengths, scoredFrom } of evaluationRows(docs, o)) {
      expect(ids.length).toBeLessThanOrEqual(o.limits.maxBytes);
      expect(patchLengths.length).toBeLessThanOrEqual(Math.min(o.limits.maxPatches, o.patchesPerRow + 1));
      expect([...targets]).toEqual([...ids].map((id) => id + 1));
      expect(patchLengths[0]).toBe(1);
      expect(patchLengths.reduce((a, b) => a + b)).toBe(ids.length + 1);
      expect(scoredFrom).toBeGreaterThanOrEqual(0);
      expect(scoredFrom).toBeLessThan(ids.length);
    }
  });

  property('where no row reaches a limit, rows are those that patches alone give', rowsOf, 300, ([docs, o]) => {
    const alone = rowsByPatchesAlone(docs, o.patchesPerRow, o.stride);
    const maxBytes = alone.reduce((most, row) => Math.max(most, row.ids.length), 1);
    for (const limits of [ENDLESS, { maxPatches: o.patchesPerRow + 1, maxBytes }]) {
      const rows = evaluationRows(docs, { ...o, limits }).map(({ ids, patchLengths, scoredFrom }) => ({
        ids: [...ids],
        patchLengths: [...patchLengths],
        scoredFrom,
      }));
      expect(rows).toEqual(alone);
    }
  });

  property('a limit in bytes costs no more rows than the half that is context', rowsOf, 300, ([docs, o]) => {
    const bytes = docs.reduce((n, { ids }) => n + ids.length, 0);
    const maxBytes = Math.max(2, o.limits.maxBytes);
    const limits = { ...ENDLESS, maxBytes };
    const stride = Math.ceil(o.patchesPerRow / 2);
    const rows = evaluationRows(docs, { patchesPerRow: o.patchesPerRow, limits });
    const alone = rowsByPatchesAlone(docs, o.patchesPerRow, stride).length;
    expect(rows.length).toBeLessThanOrEqual(2 * alone + docs.length + Math.ceil((4 * bytes) / maxBytes));
  });

  test('a patch longer than a row is cut there, with half a row of context', () => {
    const doc = { ids: Int32Array.from({ length: 12 }, (_, i) => i), patchLengths: Int32Array.of(12) };
    const rows = evaluationRows([doc], { patchesPerRow: 2, limits: { maxPatches: 9, maxBytes: 4 } });
    expect(rows.map((r) => [[...r.ids], [...r.patchLengths], r.scoredFrom])).toEqual([
      [[0, 1, 2, 3], [1, 4], 0],
      [[3, 4, 5, 6], [1, 4], 1],
      [[6, 7, 8, 9], [1, 4], 1],
      [[9, 10], [1, 2], 1],
    ]);
  });

  test('patches of one byte: rows have no more than the global transformer has positions for', () => {
    const doc = { ids: Int32Array.from({ length: 9 }, (_, i) => i), patchLengths: new Int32Array(9).fill(1) };
    const rows = evaluationRows([doc], { patchesPerRow: 100, limits: { maxPatches: 4, maxBytes: 100 } });
    expect(rows.map((r) => r.patchLengths.length)).toEqual([4, 4, 4, 3]);
  });

  test('rows without room are refused', () => {
    const doc = { ids: Int32Array.of(1, 2, 3), patchLengths: Int32Array.of(3) };
    expect(() => evaluationRows([doc], { patchesPerRow: 1, limits: ENDLESS })).toThrow(
      'a row needs 2 patches and 1 byte',
    );
    const none = { maxPatches: 2, maxBytes: 0 };
    expect(() => evaluationRows([doc], { patchesPerRow: 2, limits: none })).toThrow('got 2 patches and 0 bytes');
  });
});

// ----- figures --------------------------------------------------------------------------------------------------------

const stack = (maxPositionEmbeddings: number) =>
  transformerConfig({
    hiddenSize: 8,
    numHiddenLayers: 1,
    numAttentionHeads: 2,
    intermediateSize: 8,
    maxPositionEmbeddings,
  });
const config: BltConfig = {
  vocabSize: 260,
  behaviour: 'facebook',
  window: 16,
  encoder: { ...stack(64), crossAttnAllLayers: false },
  global: stack(16),
  decoder: { ...stack(64), crossAttnAllLayers: true },
  patcher: stack(32),
  crossAttnK: 1,
  hash: { groupSizes: [3], functions: 1, vocab: 32 },
  patching: { mode: 'space' },
};
const model = smallModel(config, 1, createWasmBackend({ threads: 1 }));
const patched = (texts: readonly string[], patching: BltConfig['patching'] = config.patching): PatchedDocument[] =>
  texts.map((text) => {
    const ids = encode(text, { bos: true, eos: true });
    return { ids, patchLengths: patchLengths(ids, null, patching, { includeNextToken: false }) };
  });
const evaluated = (docs: readonly PatchedDocument[], patchesPerRow = 8) =>
  evaluateBlt(model.params, evaluationRows(docs, { patchesPerRow, limits: rowLimits(config) }), config);

test.each([
  ['one patch of 200 zero bytes, with 64 positions', '\0'.repeat(200), { mode: 'space' }],
  ['200 patches of one byte, with 16 positions for patches', 'ab'.repeat(100), { mode: 'byte' }],
  ['patches of 4 bytes, as many as there are positions', 'abcdef'.repeat(40), { mode: 'static', patchSize: 4 }],
] as const)('the model evaluates %s', async (_, text, patching) => {
  const { bytes, bitsPerByte } = await evaluated(patched([text], patching), 16);
  expect(bytes).toBe(text.length);
  expect(bitsPerByte).toBeGreaterThan(0);
});

test('an entropy model asked for longer rows than its context reads rows of its context', async () => {
  const docs = patched(['ab'.repeat(60)]).map(({ ids }) => ids);
  const figure = (rowBytes?: number) =>
    evaluateEntropyModel(model.patcher, docs, config.patcher!, { ...layoutOptions(config), rowBytes });
  expect(await figure(1000)).toEqual(await figure());
  expect((await figure(1000)).bytes).toBe(120);
});

test('an entropy model is measured on a sample of rows that are spread evenly, or on all', async () => {
  const docs = patched(['the first text is here', 'ab'.repeat(60), 'and the last one']).map(({ ids }) => ids);
  const figure = (sampleBytes?: number) =>
    evaluateEntropyModel(model.patcher, docs, config.patcher!, { ...layoutOptions(config), rowBytes: 8, sampleBytes });
  const all = await figure();
  expect(all.bytes).toBe(158);
  expect(await figure(1000)).toEqual(all);
  // Rows of 8 ids: every second one.
  expect((await figure(80)).bytes).toBeGreaterThan(70);
  expect((await figure(80)).bytes).toBeLessThan(90);
});

test('bits per byte are nats over bytes of text, and their error that of a ratio of totals over rows', async () => {
  const docs = patched(['a', 'bc', 'def ', 'gh ij', '']);
  const all = await evaluated(docs);
  // Each of these documents is one row.
  const each = await Promise.all(docs.slice(0, 4).map((doc) => evaluated([doc])));
  const empty = all.nats - each.reduce((sum, { nats }) => sum + nats, 0);
  expect(all.bytes).toBe(12);
  expect(all.bitsPerByte).toBeCloseTo(all.nats / Math.LN2 / 12, 12);
  const clusters = [...each.map(({ nats, bytes }) => ({ nats, bytes })), { nats: empty, bytes: 0 }];
  const residuals = clusters.map(({ nats, bytes }) => (nats - (all.nats / 12) * bytes) / Math.LN2 / 12);
  const squares = residuals.reduce((sum, r) => sum + r * r, 0);
  expect(all.standardError).toBeCloseTo(Math.sqrt((squares * 5) / 4), 6);
  expect(each[0].standardError).toBe(null);
  const same = await evaluated(patched(['abc', 'abc', 'abc']));
  expect(same.standardError).toBeLessThan(1e-6);
});

test('a text without a byte is refused in words, not NaN', async () => {
  await expect(evaluated(patched(['', '']))).rejects.toThrow('evaluation: the text has no bytes to predict');
  await expect(evaluated([])).rejects.toThrow('no bytes to predict');
  const nothing = evaluateEntropyModel(model.patcher, [], config.patcher!, layoutOptions(config));
  await expect(nothing).rejects.toThrow('no bytes to predict');
});

property('countBytes counts what is no special', fc.array(fc.integer({ min: 0, max: 259 })), 100, (ids) => {
  const bytes = ids.filter((id) => id >= BYTE_OFFSET).length;
  expect(countBytes(Int32Array.from(ids))).toBe(bytes);
  expect(countBytes([Int32Array.from(ids), Int32Array.of(1, 70, 2)])).toBe(bytes + 1);
});
