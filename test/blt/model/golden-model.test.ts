import { affine, leaves, mul, sum, valueAndGrad } from '@blt-ts/autograd';
import {
  type BltParams,
  bltLogits,
  bltLosses,
  byteBatch,
  type Checkpoint,
  embedBytes,
  entropyModelLogits,
  globalTransformer,
  localDecoder,
  localEncoder,
} from '@blt-ts/blt';
import { scope, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { fixture } from '../../support/fixture.ts';
import {
  distance,
  type Expected,
  fixtureTensors,
  goldenInputs,
  goldenModels,
  loadGolden,
  magnitude,
  prepare,
  rowsOf,
} from '../../support/golden-model.ts';

const ENTROPY = 5e-6;
const LOGIT = 2e-5;
const LOSS = 1e-5;
/** Relative to the largest magnitude of each tensor. */
const GRADIENT = 1e-4;

/** The runs of fb_parity.json have the names of the models without "tiny_". */
interface Parity {
  patch_lengths_include_next_token: number[][];
  fb_logits?: number[][][];
}
const parity = fixture<Record<string, Parity>>('fb_parity.json');

interface DocumentCase {
  tokens: number[][];
  window: number;
  threshold: number;
  entropies: number[][];
  patch_lengths: number[][];
  logits: number[][][];
}

const withoutPadding = (lengths: number[]): number[] => lengths.filter((length) => length > 0);

/** The first `counts[r]` rows of each batch entry of a padded [R, n, C] array, laid end to end. */
function visibleRows({ shape, values }: { shape: number[]; values: Float32Array }, counts: number[]): number[] {
  const [, n, C] = shape;
  return counts.flatMap((count, r) => [...values.subarray(r * n * C, (r * n + count) * C)]);
}

/** Mean loss over all positions but each row's last, whose target is unknown. */
function meanLoss(p: BltParams, rows: Int32Array[], batch: Parameters<typeof bltLosses>[1], { config }: Checkpoint) {
  const targets = Int32Array.from(rows.flatMap((row) => [...row.subarray(1), 0]));
  const mask = Float32Array.from(rows.flatMap((row) => [...row].map((_, i) => (i + 1 < row.length ? 1 : 0))));
  const losses = bltLosses(p, batch, targets, config);
  const counted = rows.reduce((n, row) => n + row.length - 1, 0);
  return { losses, loss: affine(sum(mul(losses, tensor(mask, undefined, { backend: losses.backend }))), 1 / counted) };
}

describe.each(backends)('$name', ({ backend }) => {
  describe.each(goldenModels.flatMap((model) => goldenInputs.map((input) => [model, input] as const)))(
    '%s, %s',
    (model, input) => {
      const expected = fixture<Expected>(`${model}/${input}.expected.json`);
      const states = fixtureTensors(`${model}/${input}.intermediates.safetensors`);
      const checkpoint = loadGolden(model, backend);
      const { config, params } = checkpoint;
      const rows = rowsOf(expected.input_ids);
      const { entropies, lengths, batch } = prepare(checkpoint, rows, expected.threshold, backend);
      const k = config.crossAttnK;

      test('the entropy model gives the logits and entropies of the reference', () => {
        const bytes = byteBatch(rows, config.patcher!, { window: null, documents: false, backend });
        const logits = entropyModelLogits(checkpoint.patcher!, bytes, config.patcher!).readSync();
        expect(distance(logits, states.get('patcher.logits')!.values)).toBeLessThan(LOGIT);
        const all = entropies.flatMap((H) => [...H]);
        expect(distance(all, states.get('patcher.entropies')!.values)).toBeLessThan(ENTROPY);
      });

      test('patches are those of the reference', () => {
        const fb = parity[`${model.replace('tiny_', '')}/${input}`];
        expect(lengths.map((l) => [...l])).toEqual(fb.patch_lengths_include_next_token.map(withoutPadding));
        let firstPatch = 0;
        rows.forEach((row, r) => {
          const from = batch.layout.rowStarts[r];
          const patchOfByte = [...batch.layout.patchOfByte.subarray(from, from + row.length)];
          expect(patchOfByte.map((p) => p - firstPatch)).toEqual(expected.patch_ids[r]);
          const { lo, hi } = batch.layout.decoderCross;
          expected.decoder_patch_ids[r].forEach((patch, i) => {
            expect([lo[from + i], hi[from + i]]).toEqual([(firstPatch + patch) * k, (firstPatch + patch + 1) * k]);
          });
          firstPatch = patchOfByte.at(-1)! + 1;
        });
      });

      test('every stage gives the states of the reference', () => {
        const patches = rows.map((row, r) => {
          const from = batch.layout.rowStarts[r];
          return batch.layout.patchOfByte[from + row.length - 1] - batch.layout.patchOfByte[from] + 1;
        });
        const near = (found: ArrayLike<number>, name: string, counts?: number[]) => {
          const golden = states.get(name)!;
          const wanted = counts ? visibleRows(golden, counts) : golden.values;
          expect(distance(found, wanted), name).toBeLessThan(LOGIT);
        };
        const embedded = embedBytes(params, batch);
        near(embedded.readSync(), 'hash_plus_byte_embeds');
        const encoded = localEncoder(params.model.local_encoder, embedded, batch, config);
        near(encoded.bytes.readSync(), 'encoder.byte_hidden');
        near(encoded.patches.readSync(), 'encoder.patch_states', patches.map((P) => P * k)); // biome-ignore format: one stage a line
        const global = globalTransformer(params.model.global_transformer, encoded.patches, batch, config);
        near(global.readSync(), 'global.output', patches);
        const decoded = localDecoder(params.model.local_decoder, encoded.bytes, global, batch, config);
        near(decoded.readSync(), 'decoder.normed_output');
      });

      test('logits, cross-entropies and loss are those of the reference', () => {
        const logits = bltLogits(params, batch, config).readSync();
        expect(distance(logits, states.get('logits')!.values)).toBeLessThan(LOGIT);
        const { losses, loss } = meanLoss(params, rows, batch, checkpoint);
        const S = rows[0].length;
        const perPosition = [...losses.readSync()].filter((_, i) => i % S !== S - 1);
        expect(distance(perPosition, expected.per_position_ce_nats.flat())).toBeLessThan(LOGIT);
        expect(Math.abs(loss.item() - expected.loss_hf_shifted_mean)).toBeLessThan(LOSS);
      });

      test('every gradient is that of the reference, and zero where the reference has none', () => {
        const golden = fixtureTensors(`${model}/${input}.grads.safetensors`);
        const { value, grads } = scope(() => valueAndGrad((p: BltParams) => meanLoss(p, rows, batch, checkpoint).loss)(params)); // biome-ignore format: one sentence
        expect(Math.abs(value.item() - expected.loss_hf_shifted_mean)).toBeLessThan(LOSS);
        const named = new Map(leaves(grads));
        expect([...golden.keys()].filter((name) => !named.has(name))).toEqual([]);
        for (const [name, gradient] of named) {
          const found = gradient.readSync();
          const wanted = golden.get(name);
          if (!wanted) expect(magnitude(found), name).toBe(0);
          else {
            expect(gradient.shape, name).toEqual(wanted.shape);
            expect(distance(found, wanted.values), name).toBeLessThanOrEqual(GRADIENT * magnitude(wanted.values));
          }
        }
        // Encoder cross-attention at all layers: transformers uses the last one alone, so the others get no gradient.
        expect(named.size - golden.size).toBe(model === 'tiny_C_encoder_all_layers' ? 6 : 0);
      });

      test('the facebook behaviour differs from it only where the encoder attends at all layers', () => {
        const facebook = loadGolden(model, backend, { behaviour: 'facebook', window: 512 });
        const prepared = prepare(facebook, rows, expected.threshold, backend);
        const logits = bltLogits(facebook.params, prepared.batch, facebook.config).readSync();
        const golden = parity[`${model.replace('tiny_', '')}/${input}`].fb_logits?.flat(2);
        expect(golden === undefined).toBe(model !== 'tiny_C_encoder_all_layers');
        expect(distance(logits, golden ?? states.get('logits')!.values)).toBeLessThan(LOGIT);
      });
    },
  );

  test.each(fixture<{ cases: DocumentCase[] }>('fb_window_docmask.json').cases)(
    'facebook behaviour, window $window, documents: $tokens.0',
    ({ tokens, window, threshold, entropies, patch_lengths, logits }) => {
      const checkpoint = loadGolden('tiny_A_1b_like', backend, { behaviour: 'facebook', window });
      const prepared = prepare(checkpoint, rowsOf(tokens), threshold, backend);
      prepared.entropies.forEach((H, r) => {
        expect(distance(H, entropies[r])).toBeLessThan(ENTROPY);
      });
      expect(prepared.lengths.map((l) => [...l])).toEqual(patch_lengths.map(withoutPadding));
      const found = bltLogits(checkpoint.params, prepared.batch, checkpoint.config).readSync();
      expect(distance(found, logits.flat(2))).toBeLessThan(LOGIT);
    },
  );
});
