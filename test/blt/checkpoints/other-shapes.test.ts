import { readFileSync } from 'node:fs';
import {
  checkAgainstPlan,
  checkpointFromSafetensors,
  checkpointFromStored,
  checkpointPlan,
  checkpointToSafetensors,
  configFromFacebook,
  configFromHuggingFace,
  configFromShapes,
  countParameters,
  isFacebookLayout,
  planMemory,
  type StoredTensor,
  type StoredTensors,
  storedInMemory,
  traceCheckpoint,
  withHuggingFaceNames,
} from '@blt-ts/blt';
import { bf16ToF32, f32ToBf16, readSafetensors, type SafetensorsInput, toFloat32 } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { fixture } from '../../support/fixture.ts';
import { distance, fixtureBytes } from '../../support/golden-model.ts';

const names = ['odd_heads', 'one_kv_head', 'k_1', 'widths_do_not_divide'] as const;

interface Expected {
  input_ids: number[][];
  threshold: number;
  entropies: number[][];
  loss: number;
  logits_last: number[][];
  logits_row_norms: number[][];
  gradient_norms: Record<string, number>;
}

const norm = (x: ArrayLike<number>): number => Math.sqrt(Array.prototype.reduce.call(x, (s, v) => (s as number) + (v as number) ** 2, 0) as number); // biome-ignore format: one formula

describe.each(backends)('$name', ({ backend }) => {
  test.each(names)('a model of transformers of another shape, %s: entropies, logits, loss, gradients', (name) => {
    const expected = fixture<Expected>(`shapes/${name}/expected.json`);
    const stored = configFromHuggingFace(fixture(`shapes/${name}/config.json`));
    const config = { ...stored, patching: { mode: 'entropy' as const, threshold: expected.threshold } };
    const checkpoint = checkpointFromSafetensors(fixtureBytes(`shapes/${name}/model.safetensors`), config, backend);
    const rows = expected.input_ids.map((row) => Int32Array.from(row));
    const S = rows[0].length;
    const trace = traceCheckpoint(checkpoint, rows, { grads: true });
    const values = new Map(trace.tensors.map(([key, t]: readonly [string, SafetensorsInput]) => [key, t]));
    expect(distance(values.get('entropies')!.data as Float32Array, expected.entropies.flat())).toBeLessThan(5e-6);
    expect(Math.abs(trace.loss! - expected.loss)).toBeLessThan(2e-6);
    const logits = values.get('logits')!.data as Float32Array;
    rows.forEach((_, r) => {
      for (let i = 0; i < S; i++) {
        const row = logits.subarray((r * S + i) * 260, (r * S + i + 1) * 260);
        expect(Math.abs(norm(row) - expected.logits_row_norms[r][i])).toBeLessThan(2e-5);
        if (i === S - 1) expect(distance(row, expected.logits_last[r])).toBeLessThan(1e-5);
      }
    });
    // With k = 1 the true gradient of a decoder query is 0 and what the reference has there is rounding.
    const floor = 1e-3 * Math.max(...Object.values(expected.gradient_norms));
    for (const [key, wanted] of Object.entries(expected.gradient_norms)) {
      const found = norm(values.get(`grads.${key}`)!.data as Float32Array);
      expect(Math.abs(found - wanted), key).toBeLessThan(1e-4 * Math.max(wanted, floor));
    }
  });
});

// ----- the layout of facebookresearch/blt -------------------------------------------------------------------------------

/** The inverse of the renaming, written apart from it: prefixes first, then pieces. */
function facebookName(name: string): string {
  if (name === 'lm_head.weight') return 'local_decoder.output.weight';
  let fb = name.replace('model.', '');
  const pairs: [string, string][] = [
    ['input_layernorm', 'attention_norm'],
    ['post_attention_layernorm', 'ffn_norm'],
    ['mlp.gate_proj', 'feed_forward.w1'],
    ['mlp.down_proj', 'feed_forward.w2'],
    ['mlp.up_proj', 'feed_forward.w3'],
    ['self_attn', 'attention'],
    ['q_norm', 'cross_attn_norm_q'],
    ['k_norm', 'cross_attn_norm_kv'],
    ['embed_tokens', 'tok_embeddings'],
    ['lm_head', 'output'],
  ];
  for (const [hf, own] of pairs) fb = fb.replace(hf, own);
  return fb.replace(/([qkvo])_proj/, 'w$1');
}

function inFacebookLayout(stored: StoredTensors, tables: number): Map<string, StoredTensor> {
  const out = new Map<string, StoredTensor>();
  for (const [name, t] of stored) {
    if (name !== 'model.encoder_hash_tok_embedding.weight') {
      out.set(facebookName(name), t);
      continue;
    }
    const bytes = t.bytes / tables;
    // The order of names in a file says nothing.
    for (let i = tables - 1; i >= 0; i--) {
      out.set(`encoder_hash_tok_embedding.${i}.weight`, {
        dtype: t.dtype,
        shape: [t.shape[0] / tables, t.shape[1]],
        bytes,
        read: (from = 0, to = bytes) => t.read(i * bytes + from, i * bytes + to),
      });
    }
  }
  const [any] = stored.values();
  out.set('local_encoder.rope.freqs_cis', any);
  return out;
}

describe.each(['tiny_A_1b_like', 'tiny_B_7b_like', 'tiny_C_encoder_all_layers'])(
  '%s in the Facebook layout',
  (model) => {
    const config = configFromHuggingFace(fixture(`${model}/config.json`));
    const stored = storedInMemory(fixtureBytes(`${model}/model.safetensors`));
    const facebook = inFacebookLayout(stored, config.hash.functions * config.hash.groupSizes.length);

    test('its names become those of Hugging Face, its hash tables one', () => {
      expect(isFacebookLayout(facebook.keys())).toBe(true);
      expect(isFacebookLayout(stored.keys())).toBe(false);
      const back = withHuggingFaceNames(facebook);
      expect([...back.keys()].sort()).toEqual([...stored.keys()].sort());
      for (const [name, t] of back) {
        const original = stored.get(name)!;
        expect(t.shape, name).toEqual(original.shape);
        expect(Buffer.compare(t.read(), original.read()), name).toBe(0);
        // Any part of it too, across the seams of tables.
        const [from, to] = [Math.floor(t.bytes / 3), Math.ceil((2 * t.bytes) / 3)];
        expect(Buffer.compare(t.read(from, to), original.read(from, to)), name).toBe(0);
      }
    });

    test('its arguments and shapes give the configuration', () => {
      const { encoder, decoder, global, patcher, hash } = config;
      const args = {
        dim_local_encoder: encoder.hiddenSize,
        n_layers_local_encoder: encoder.numHiddenLayers,
        n_heads_local_encoder: encoder.numAttentionHeads,
        n_heads_local_decoder: decoder.numAttentionHeads,
        n_heads_global: global.numAttentionHeads,
        n_kv_heads_global: global.numKeyValueHeads,
        cross_attn_k: config.crossAttnK,
        cross_attn_all_layers_encoder: encoder.crossAttnAllLayers,
        cross_attn_all_layers_decoder: decoder.crossAttnAllLayers,
        encoder_hash_byte_group_size: hash.groupSizes.join(','),
        encoder_hash_byte_group_nb_functions: hash.functions,
        rope_theta: encoder.ropeTheta,
        max_encoder_seq_length: encoder.maxPositionEmbeddings,
        max_seqlen: global.maxPositionEmbeddings,
        local_attention_window_len: 512,
        patching_mode: 'entropy',
        patching_threshold: config.patching.mode === 'entropy' ? config.patching.threshold : 0,
        max_patch_length: null,
      };
      const found = configFromFacebook(args, withHuggingFaceNames(facebook), { n_heads: patcher!.numAttentionHeads });
      expect(found).toEqual({
        ...config,
        behaviour: 'facebook',
        window: 512,
        patcher: { ...patcher, maxPositionEmbeddings: 8192 },
      });
    });

    test('it loads to the same weights', () => {
      const one = checkpointFromStored(facebook, config);
      const two = checkpointFromStored(stored, config);
      expect(Buffer.compare(checkpointToSafetensors(one), checkpointToSafetensors(two))).toBe(0);
    });
  },
);

test.each([
  ['cross_attn_window_encoder', 512, null],
  ['cross_attn_window_decoder', 2, null],
  ['cross_attn_encoder', false, true],
  ['cross_attn_decoder', false, true],
  ['cross_attn_init_by_pooling', false, true],
  ['downsampling_by_pooling', 'mean', 'max'],
  ['encoder_enable_byte_ngrams', true, false],
  ['use_rope', false, true],
])(
  'an option of facebookresearch/blt that changes the arithmetic is refused, not passed over: %s %j',
  (key, other, built) => {
    const stored = storedInMemory(fixtureBytes('tiny_A_1b_like/model.safetensors'));
    const args = { n_heads: 2, patching_mode: 'space', encoder_hash_byte_group_size: [3, 4, 5, 6, 7, 8] };
    expect(() => configFromFacebook({ ...args, [key]: other }, stored)).toThrow(`${key} is ${JSON.stringify(other)}: `);
    expect(configFromFacebook({ ...args, [key]: built }, stored)).toEqual(configFromFacebook(args, stored));
  },
);

test('a table that is missing is named', () => {
  const config = configFromHuggingFace(fixture('tiny_A_1b_like/config.json'));
  const stored = storedInMemory(fixtureBytes('tiny_A_1b_like/model.safetensors'));
  const facebook = inFacebookLayout(stored, config.hash.groupSizes.length);
  facebook.delete('encoder_hash_tok_embedding.1.weight');
  expect(() => withHuggingFaceNames(facebook)).toThrow('there is no tensor encoder_hash_tok_embedding.1.weight');
});

test('weights written as BF16 are the nearest ones, and come back as F32', () => {
  const config = configFromHuggingFace(fixture('tiny_A_1b_like/config.json'));
  const checkpoint = checkpointFromSafetensors(fixtureBytes('tiny_A_1b_like/model.safetensors'), config);
  const file = checkpointToSafetensors(checkpoint, 'BF16');
  for (const [name, t] of readSafetensors(file).tensors) {
    expect(t.dtype).toBe('BF16');
    const original = storedInMemory(fixtureBytes('tiny_A_1b_like/model.safetensors')).get(name)!;
    const wanted = bf16ToF32(f32ToBf16(toFloat32({ dtype: 'F32', shape: [...original.shape], data: original.read() })));
    expect(toFloat32(t, name)).toEqual(wanted);
  }
  const again = checkpointFromSafetensors(file, config);
  expect(Buffer.compare(checkpointToSafetensors(again, 'BF16'), file)).toBe(0);
});

// ----- released sizes ---------------------------------------------------------------------------------------------------

test.each([
  ['1b', 4_633_391_872, 3_072_012_288, 510],
  ['7b', 10_553_570_560 + 99_512_064, 3_840_015_360, null],
] as const)('the keys and shapes of blt-%s are planned without loading', (size, total, hash, tensors) => {
  const list = JSON.parse(
    readFileSync(new URL(`../../fixtures/hf_keys_shapes_blt_${size}.json`, import.meta.url), 'utf8'),
  ) as Record<string, number[]>;
  const shapes = new Map(Object.entries(list).map(([name, shape]) => [name, { shape }]));
  const config = configFromShapes(shapes);
  const plan = checkpointPlan(config);
  checkAgainstPlan(plan, shapes);
  expect(plan.length).toBe(tensors ?? shapes.size);
  expect(countParameters(plan)).toBe(total);
  const { values, hashValues } = planMemory(plan);
  expect(hashValues).toBe(hash);
  expect(values + hashValues).toBe(total);
  expect(config.hash).toEqual({ groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: 500_002 });
});
