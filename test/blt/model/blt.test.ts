import { type BltConfig, BOS, bltBatch, EOS, embedBytes, globalTransformer, localEncoder } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { distance } from '../../support/golden-model.ts';
import { property } from '../../support/property.ts';
import {
  configs,
  cut,
  entropiesOf,
  id,
  predict,
  row,
  type SmallModel,
  seeds,
  smallModel,
} from '../../support/small-model.ts';

const facebook = configs.map((c): BltConfig => ({ ...c, behaviour: 'facebook' }));

/** Encoder byte states [B, C] and global outputs [P, C], and where the patches start, of one row. */
function insides(model: SmallModel, ids: Int32Array) {
  const { config, params, backend } = model;
  const batch = bltBatch(cut(model, [ids]), config, { backend });
  const encoded = localEncoder(params.model.local_encoder, embedBytes(params, batch), batch, config);
  const global = globalTransformer(params.model.global_transformer, encoded.patches, batch, config);
  const [bytes, states] = [encoded.bytes, global].map((x) => x.readSync() as Float32Array);
  return { bytes, global: states, starts: [...batch.layout.patchStarts] };
}

/**
 * Two documents in a row, and the same with one byte of the first replaced. The replaced byte is out of reach of every hash
 * window (at most 4 bytes here) of the second document: at least 3 bytes lie between it and the EOS at `end`.
 */
const twoDocuments = fc
  .record({
    first: row(2, 8),
    tail: fc.array(id, { minLength: 3, maxLength: 4 }),
    second: row(4, 10),
    at: fc.nat(),
    to: id,
  })
  .map(({ first, tail, second, at, to }) => {
    const ids = Int32Array.of(...first, ...tail, EOS, ...second);
    const changed = ids.slice();
    changed[1 + (at % (first.length - 1))] = to;
    return { ids, changed, end: first.length + tail.length };
  })
  .filter(({ ids, changed }) => ids.some((x, i) => x !== changed[i]));

/** More rows than any kernel takes for few. */
const FEW = 16;

describe.each(backends)('$name', ({ name, backend }) => {
  const exact = name === 'reference';

  /** The same bits, or where a backend orders its sums by the shape of the batch, the same but for rounding. */
  function expectSame(found: Float32Array, wanted: Float32Array, sameBits: boolean): void {
    if (sameBits) expect(firstDifference(found, wanted)).toBeNull();
    else expect(distance(found, wanted)).toBeLessThan(1e-4);
  }

  /** The wasm backend adds up products of few rows (bytes or patches) in another order than larger ones. */
  const alike = (...counts: number[]): boolean => exact || new Set(counts).size === 1 || Math.min(...counts) > FEW;

  property(
    'changing a byte leaves every logit before it as it was, through entropies, patches, hashes and both cross-attentions',
    fc.record({ config: configs, seed: seeds, ids: row(2), at: fc.nat(), to: id }),
    150,
    ({ config, seed, ids, at, to }) => {
      const t = 1 + (at % (ids.length - 1));
      fc.pre(ids[t] !== to);
      const changed = ids.slice();
      changed[t] = to;
      const model = smallModel(config, seed, backend);
      const [a, b] = [predict(model, [ids]), predict(model, [changed])];
      const [[before], [after]] = [a.logits, b.logits];
      const V = config.vocabSize;
      expectSame(after.subarray(0, t * V), before.subarray(0, t * V), alike(a.patches, b.patches));
      expect(firstDifference(after.subarray(t * V, (t + 1) * V), before.subarray(t * V, (t + 1) * V))).not.toBeNull();
    },
  );

  property(
    'a row cut short has the first logits of the whole row',
    fc.record({ config: configs, seed: seeds, ids: row(2), at: fc.nat() }),
    80,
    ({ config, seed, ids, at }) => {
      const length = 1 + (at % (ids.length - 1));
      const model = smallModel(config, seed, backend);
      const [whole, short] = [predict(model, [ids]), predict(model, [ids.subarray(0, length)])];
      const sameBits = alike(ids.length, length) && alike(whole.patches, short.patches);
      expectSame(short.logits[0], whole.logits[0].subarray(0, length * config.vocabSize), sameBits);
    },
  );

  property(
    'a row has the same entropies, patches and logits alone and among others',
    fc.record({ config: configs, seed: seeds, rows: fc.array(row(1, 12), { minLength: 2, maxLength: 4 }) }),
    60,
    ({ config, seed, rows }) => {
      const model = smallModel(config, seed, backend);
      const [H, lengths, together] = [entropiesOf(model, rows), cut(model, rows), predict(model, rows)];
      rows.forEach((ids, r) => {
        // Not the same bits on wasm: its attention takes keys four at a time, counted from the batch's first.
        expectSame(H[r], entropiesOf(model, [ids])[0], exact);
        expect(lengths[r].patchLengths).toEqual(cut(model, [ids])[0].patchLengths);
        expectSame(together.logits[r], predict(model, [ids]).logits[0], exact);
      });
    },
  );

  property(
    'entropies after an EOS know nothing of what came before it',
    fc.record({ config: facebook, seed: seeds, row: twoDocuments }),
    60,
    ({ config, seed, row: { ids, changed, end } }) => {
      const model = smallModel(config, seed, backend);
      const [H, changedH] = entropiesOf(model, [ids, changed]);
      expect(firstDifference(changedH.subarray(end + 1), H.subarray(end + 1))).toBeNull();
      expect(firstDifference(changedH.subarray(0, end + 1), H.subarray(0, end + 1))).not.toBeNull();
    },
  );

  property(
    'entropies know nothing of bytes further back than all layers see through their window',
    fc.record({ config: facebook, seed: seeds, ids: row(8, 24), window: fc.integer({ min: 1, max: 4 }), to: id }),
    60,
    ({ config, seed, ids, window, to }) => {
      fc.pre(ids[1] !== to);
      const changed = ids.slice();
      changed[1] = to;
      const model = smallModel({ ...config, window }, seed, backend);
      const seen = 1 + config.patcher!.numHiddenLayers * (window - 1);
      const [H, changedH] = entropiesOf(model, [ids, changed]);
      expect(firstDifference(changedH.subarray(1 + seen), H.subarray(1 + seen))).toBeNull();
    },
  );

  property(
    'encoder states after an EOS, and global states of the patches after it, know nothing of what hashes and cuts do not reach',
    fc.record({ config: facebook, seed: seeds, row: twoDocuments }),
    80,
    ({ config, seed, row: { ids, changed, end } }) => {
      const model = smallModel(config, seed, backend);
      const a = insides(model, ids);
      const b = insides(model, changed);
      const C = config.encoder.hiddenSize;
      expect(firstDifference(b.bytes.subarray((end + 1) * C), a.bytes.subarray((end + 1) * C))).toBeNull();
      // What went before may move the cuts after it; where it does not, the patches that start after the EOS are the same.
      const later = (starts: number[]) => starts.filter((s) => s > end);
      fc.pre(String(later(a.starts)) === String(later(b.starts)));
      const values = (later(a.starts).length - 1) * config.global.hiddenSize;
      expectSame(
        b.global.subarray(b.global.length - values),
        a.global.subarray(a.global.length - values),
        a.starts.length === b.starts.length, // see below
      );
    },
  );

  property(
    'logits after an EOS know nothing of what hashes do not reach if the next document starts with a patch of one byte',
    // A special id, such as the BOS after the EOS, is a patch of its own in these modes.
    fc.record({
      config: facebook,
      mode: fc.constantFrom('space' as const, 'byte' as const),
      seed: seeds,
      row: twoDocuments,
    }),
    60,
    ({ config, mode, seed, row: { ids, changed, end } }) => {
      const model = smallModel({ ...config, patching: { mode } }, seed, backend);
      const V = config.vocabSize;
      const [a, b] = [predict(model, [ids]), predict(model, [changed])];
      const [[before], [after]] = [a.logits, b.logits];
      // Positions are not reset where a document starts: with more or fewer patches before it, all of its rotary angles
      // differ by one angle, which cancels but for rounding.
      expectSame(after.subarray((end + 1) * V), before.subarray((end + 1) * V), a.patches === b.patches);
    },
  );

  property(
    'otherwise its bytes read the newest patch of the document before, until it has finished one of its own',
    fc.record({ config: facebook, seed: seeds }),
    20,
    ({ config, seed }) => {
      const text = (s: string) => [...s].map((c) => c.charCodeAt(0) + 4);
      const ids = Int32Array.of(BOS, ...text('abcde'), EOS, BOS, ...text('fghij'));
      const changed = ids.slice();
      changed[1]++;
      const model = smallModel({ ...config, patching: { mode: 'static', patchSize: 7 } }, seed, backend);
      expect([...cut(model, [ids])[0].patchLengths]).toEqual([1, 6, 7]);
      const V = config.vocabSize;
      const [a, b] = [predict(model, [ids]), predict(model, [changed])];
      const [[before], [after]] = [a.logits, b.logits];
      for (let i = 7; i < ids.length; i++) {
        const at = [i * V, (i + 1) * V] as const;
        expect(firstDifference(after.subarray(...at), before.subarray(...at))).not.toBeNull();
      }
    },
  );
});
