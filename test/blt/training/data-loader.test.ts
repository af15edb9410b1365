import { byteRows, type DataCursor, EpochLoader, type PatchedDocument, patchRows } from '@blt-ts/blt';
import { Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../../support/property.ts';
import { seeds } from '../../support/small-model.ts';

/** Documents of which every token is different, with random patches. */
const documents: fc.Arbitrary<PatchedDocument[]> = fc
  .array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 })
  .filter((all) => all.flat().reduce((a, b) => a + b, 0) >= 2)
  .map((all) => {
    let next = 0;
    return all.map((lengths) => {
      const size = lengths.reduce((a, b) => a + b, 0);
      return { ids: Int32Array.from({ length: size }, () => next++), patchLengths: Int32Array.from(lengths) };
    });
  });

interface Row {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}
const cutters = fc.oneof(
  fc.integer({ min: 1, max: 9 }).map(
    (rowBytes) => (docs: PatchedDocument[], random: Random, epoch: number): Row[] =>
    byteRows(docs.map((d) => d.ids), rowBytes, random, epoch), // biome-ignore format: one sentence
  ),
  fc.tuple(fc.integer({ min: 2, max: 9 }), fc.option(fc.integer({ min: 1, max: 20 }))).map(
    ([patches, maxBytes]) =>
      (docs: PatchedDocument[], random: Random, epoch: number): Row[] =>
        patchRows(docs, patches, maxBytes, random, epoch),
  ),
);
const cases = fc.record({ docs: documents, cutter: cutters, seed: seeds, epoch: fc.integer({ min: 0, max: 3 }) });

describe('byteRows and patchRows', () => {
  property('targets are the ids shifted by one, and each row goes on where the last one ended', cases, 100, (c) => {
    const rows = c.cutter(c.docs, new Random(c.seed), c.epoch);
    expect(rows.length).toBeGreaterThan(0);
    rows.forEach(({ ids, targets }, r) => {
      expect(targets.length).toBe(ids.length);
      expect([...ids.subarray(1)]).toEqual([...targets.subarray(0, -1)]);
      if (r > 0) expect(ids[0]).toBe(rows[r - 1].targets.at(-1));
    });
  });

  property(
    'no token is lost: in the first epoch all but the very first are targets once, documents in one piece',
    cases,
    100,
    (c) => {
      const rows = c.cutter(c.docs, new Random(c.seed), 0);
      const stream = [rows[0].ids[0], ...rows.flatMap((r) => [...r.targets])];
      expect([...stream].sort((a, b) => a - b)).toEqual(stream.map((_, i) => i));
      for (const { ids } of c.docs) {
        const at = stream.indexOf(ids[0]);
        expect(stream.slice(at, at + ids.length)).toEqual([...ids]);
      }
    },
  );

  property(
    'later epochs leave out a beginning shorter than a row, and never everything',
    cases,
    100,
    ({ docs, seed, epoch }) => {
      const total = docs.reduce((n, d) => n + d.ids.length, 0);
      const rows = byteRows(docs.map((d) => d.ids), 7, new Random(seed), epoch + 1); // biome-ignore format: one sentence
      const targets = rows.flatMap((r) => [...r.targets]);
      expect(new Set(targets).size).toBe(targets.length);
      expect(targets.length).toBeGreaterThanOrEqual(Math.max(1, total - 7));
    },
  );

  property('the same seed cuts the same rows', cases, 50, (c) => {
    const [a, b] = [1, 2].map(() => c.cutter(c.docs, new Random(c.seed), c.epoch));
    expect(a).toEqual(b);
  });

  test('another seed gives another order, another epoch other cuts', () => {
    const docs = [Int32Array.from({ length: 50 }, (_, i) => i), Int32Array.from({ length: 50 }, (_, i) => 50 + i)];
    const firsts = (seed: number, epoch: number) =>
      String(byteRows(docs, 10, new Random(seed), epoch).map((r) => r.ids[0]));
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => firsts(seed, 0))).size).toBe(2);
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => firsts(seed, 1))).size).toBeGreaterThan(2);
  });
});

describe('EpochLoader', () => {
  /** Rows that say where they come from. */
  const loader = (seed: number, perEpoch: number) =>
    new EpochLoader(new Random(seed), (_, epoch) => Array.from({ length: perEpoch }, (_, i) => `${epoch}:${i}`));
  const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 12 });
  const table = fc.record({ seed: seeds, perEpoch: fc.integer({ min: 1, max: 6 }), sizes });

  property('hands out every row of an epoch once, then those of the next', table, 100, ({ seed, perEpoch, sizes }) => {
    const handedOut = sizes.flatMap((n) => loader(seed, perEpoch).next(n).length);
    expect(handedOut).toEqual(sizes);
    const rows = loader(seed, perEpoch).next(4 * perEpoch);
    for (let epoch = 0; epoch < 4; epoch++) {
      const found = rows.slice(epoch * perEpoch, (epoch + 1) * perEpoch).sort();
      expect(found).toEqual(Array.from({ length: perEpoch }, (_, i) => `${epoch}:${i}`).sort());
    }
  });

  property(
    'what is handed out does not depend on how many are asked for at a time',
    table,
    50,
    ({ seed, perEpoch, sizes }) => {
      const one = loader(seed, perEpoch);
      const pieces = sizes.flatMap((n) => one.next(n));
      expect(pieces).toEqual(loader(seed, perEpoch).next(pieces.length));
    },
  );

  property('goes on from a saved cursor as if it had never stopped', table, 100, ({ seed, perEpoch, sizes }) => {
    const first = loader(seed, perEpoch);
    const cursors: DataCursor[] = [first.cursor];
    const handedOut = sizes.map((n) => {
      const rows = first.next(n);
      cursors.push(first.cursor);
      return rows;
    });
    // A fresh loader, and one that has been somewhere else before.
    const used = loader(seed, perEpoch);
    used.next(perEpoch + 1);
    sizes.forEach((_, k) => {
      for (const other of [loader(seed, perEpoch), used]) {
        other.seek(JSON.parse(JSON.stringify(cursors[k])) as DataCursor);
        expect(sizes.slice(k).map((n) => other.next(n))).toEqual(handedOut.slice(k));
        expect(other.cursor).toEqual(first.cursor);
      }
    });
  });

  test('rows come in the order of a shuffled array, as they always have', () => {
    const rows = Array.from({ length: 20 }, (_, i) => `0:${i}`);
    expect(loader(7, 20).next(20)).toEqual(new Random(7).fork('epoch 0').shuffle(rows));
  });

  test('epochs are shuffled, each in another order', () => {
    const rows = loader(1, 20).next(60);
    const orders = [0, 1, 2].map((e) => rows.slice(e * 20, (e + 1) * 20).map((row) => Number(row.split(':')[1])));
    const rising = Array.from({ length: 20 }, (_, i) => i);
    for (const order of orders) expect(order).not.toEqual(rising);
    expect(orders[0]).not.toEqual(orders[1]);
    expect(orders[1]).not.toEqual(orders[2]);
  });

  test('a corpus without a row is refused', () => {
    expect(() => loader(1, 0).next(1)).toThrow('the corpus is too small to fill one row; give more bytes');
  });
});
