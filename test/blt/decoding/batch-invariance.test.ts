/**
 * @file A byte's logits have the same bits however they are computed: its text as a whole, in chunks or byte by byte, alone or beside
 * others, on any number of threads, with vectors of either width.
 */
import { Decoder } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { property } from '../../support/property.ts';
import { configs, decoded, predict, row, seeds, smallModel } from '../../support/small-model.ts';

/** Two ways to compute that must agree: threads with much to share, and another vector width. */
const pairs = [
  { name: 'fused multiply and add', options: {} },
  { name: 'multiply and add', options: { deterministic: true } },
].map(({ name, options }) => ({
  name,
  one: createWasmBackend({ ...options, wide: false }),
  other: createWasmBackend({ ...options, wide: true, threads: 3, leastShared: 0 }),
}));

const pieces = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });

describe.each(pairs)('$name', ({ one, other }) => {
  property(
    'logits are those of the whole text, bit for bit',
    fc.record({
      config: configs,
      seed: seeds,
      rows: fc.array(row(1, 40), { minLength: 1, maxLength: 12 }),
      pieces,
      chunkBytes: fc.integer({ min: 1, max: 200 }),
      chosen: fc.nat(),
    }),
    8,
    ({ config, seed, rows, pieces, chunkBytes, chosen }) => {
      const model = smallModel(config, seed, one);
      const { logits: whole } = predict(model, rows, { batchInvariant: true });
      const same = (found: ArrayLike<number>, r: number) =>
        expect(firstDifference(Float32Array.from(found), whole[r])).toBeNull();
      // Among the others, in pieces, on other threads with other vectors.
      const elsewhere = smallModel(config, seed, other);
      const decoder = new Decoder(elsewhere, { sequences: rows.length, chunkBytes });
      decoded(decoder, rows, pieces).forEach(same);
      decoder.release();
      // One of them alone: as a whole, and byte by byte.
      const r = chosen % rows.length;
      same(predict(elsewhere, [rows[r]], { batchInvariant: true }).logits[0], r);
      const alone = new Decoder(model);
      same(decoded(alone, [rows[r]], [1])[0], r);
      alone.release();
    },
  );
});
