import { embeddingBag } from '@blt-ts/autograd';
import { bltBatch, bltLogits, Dropout, type DropoutRates, embedBytes, NO_DROPOUT } from '@blt-ts/blt';
import { ones, Random, scope, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { distance } from '../../support/golden-model.ts';
import { property } from '../../support/property.ts';
import { configs, cut, row, seeds, smallModel } from '../../support/small-model.ts';

const sites = ['embedding', 'residual', 'hidden', 'output'] as const;
const rates: fc.Arbitrary<DropoutRates> = fc
  .tuple(...[0, 1, 2, 3, 4].map(() => fc.constantFrom(0, 0.1, 0.5)))
  .map(([embedding, residual, hidden, output, hash]) => ({ embedding, residual, hidden, output, hash }));

describe.each(backends)('$name', ({ backend }) => {
  const prepared = (config: Parameters<typeof smallModel>[0], seed: number, rows: Int32Array[]) => {
    const model = smallModel(config, seed, backend);
    return { model, batch: bltBatch(cut(model, rows), config, { backend }) };
  };
  const cases = fc.record({ config: configs, seed: seeds, ids: row(8), rates });

  property('the same state of the stream gives the same masks', cases, 40, ({ config, seed, ids, rates }) => {
    const { model, batch } = prepared(config, seed, [ids]);
    const random = new Random(seed);
    const { params } = model;
    const logits = (from: Random) =>
      scope(() => bltLogits(params, batch, config, new Dropout(rates, from)).readSync()) as Float32Array;
    const state = random.state();
    const first = logits(random);
    expect(firstDifference(logits(Random.fromState(state)), first)).toBeNull();
    // Rates of 0 draw nothing; others move the stream, and the next pass has other masks.
    const drawn = String(random.state()) !== String(state);
    const { hash, ...elements } = rates;
    const draws = Object.values(elements).some((rate) => rate > 0) || (hash > 0 && batch.hashIds !== null);
    expect(drawn).toBe(draws);
    const plain = scope(() => bltLogits(params, batch, config).readSync()) as Float32Array;
    if (!draws) expect(firstDifference(first, plain)).toBeNull();
    if (elements.output === 0.5 || elements.embedding === 0.5) {
      expect(firstDifference(first, plain)).not.toBeNull();
      expect(firstDifference(first, logits(random))).not.toBeNull();
    }
  });

  test('elements keep their mean: a share is 0, the others are divided by what is left', () => {
    const n = 20_000;
    const x = ones([n / 10, 10], { backend });
    for (const site of sites) {
      for (const rate of [0.1, 0.5, 0.9]) {
        const dropout = new Dropout({ ...NO_DROPOUT, [site]: rate }, new Random(5));
        const y = dropout[site](x).readSync();
        const kept = Math.fround(1 / (1 - rate));
        const zeros = y.filter((v) => v === 0).length;
        expect(y.every((v) => v === 0 || Math.abs(v - kept) < 1e-6 * kept)).toBe(true);
        // Five standard errors of a binomial share.
        expect(Math.abs(zeros / n - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / n));
        // The next call is another mask; other sites leave their input alone.
        expect(firstDifference(dropout[site](x).readSync(), y)).not.toBeNull();
        for (const other of sites) if (other !== site) expect(dropout[other](x)).toBe(x);
      }
    }
  });

  property('hash dropout takes whole rows away and scales the rest', cases, 40, ({ config, seed, ids }) => {
    const { model, batch } = prepared(config, seed, [ids]);
    const table = model.params.model.encoder_hash_tok_embedding?.weight;
    fc.pre(table !== undefined && batch.hashIds !== null);
    const hash = 0.25;
    const rates = { ...NO_DROPOUT, hash };
    const { ids: kept, factor } = new Dropout(rates, new Random(seed)).hashRows(batch.hashIds!);
    expect(factor).toBe(1 / (1 - hash));
    kept.forEach((id, i) => {
      expect([-1, batch.hashIds![i]]).toContain(id);
    });
    const bag = (entries: Int32Array) =>
      embeddingBag(table!, tensor(entries, [ids.length, entries.length / ids.length], { backend })).readSync();
    const [all, some] = [bag(batch.hashIds!), bag(kept)];
    const without = embedBytes(model.params, batch).readSync();
    const found = embedBytes(model.params, batch, new Dropout(rates, new Random(seed))).readSync();
    expect(distance(found, without.map((v, i) => v - all[i] + factor * some[i]))).toBeLessThan(1e-5); // biome-ignore format: one sentence
  });
});

test('hash rows are dropped at the rate asked for, and the mean of their sum stays', () => {
  const n = 20_000;
  const ids = Int32Array.from({ length: n }, (_, i) => i % 7);
  for (const hash of [0.1, 0.5]) {
    const dropped = new Dropout({ ...NO_DROPOUT, hash }, new Random(3)).hashRows(ids);
    const share = dropped.ids.filter((id) => id < 0).length / n;
    expect(Math.abs(share - hash)).toBeLessThan(5 * Math.sqrt((hash * (1 - hash)) / n));
    expect(dropped.factor * (1 - hash)).toBeCloseTo(1, 12);
  }
  const none = new Dropout(NO_DROPOUT, new Random(3)).hashRows(ids);
  expect(none).toEqual({ ids, factor: 1 });
});

test('masks are the same on every backend', () => {
  const masks = backends.map(({ backend }) => {
    const dropout = new Dropout({ ...NO_DROPOUT, residual: 0.3 }, new Random(11));
    return dropout.residual(ones([99, 3], { backend })).readSync().map((v) => Number(v > 0)); // biome-ignore format: one sentence
  });
  for (const mask of masks) expect(firstDifference(mask, masks[0])).toBeNull();
});

test('a rate outside [0, 1) is refused by name', () => {
  for (const [name, rate] of [
    ['residual', 1],
    ['hash', -0.1],
    ['embedding', Number.NaN],
  ] as const) {
    expect(() => new Dropout({ ...NO_DROPOUT, [name]: rate }, new Random(0))).toThrow(
      `dropout.${name} must be in [0, 1), got ${rate}`,
    );
  }
});
