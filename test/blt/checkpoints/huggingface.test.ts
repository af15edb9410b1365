import { leaves } from '@blt-ts/autograd';
import {
  type BltConfig,
  type Checkpoint,
  ConfigError,
  checkpointFromSafetensors,
  checkpointFromStored,
  checkpointPlan,
  checkpointToSafetensors,
  configFromHuggingFace,
  configToHuggingFace,
  countParameters,
  forTransformers,
  storedInMemory,
  traceCheckpoint,
  transformerConfig,
  transformersDiffers,
  VOCAB_SIZE,
  withTiedEmbeddings,
} from '@blt-ts/blt';
import { bf16ToF32, f32ToBf16, readSafetensors, SafetensorsError, toFloat32, writeSafetensors } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { firstDifference } from '../../support/bits.ts';
import { fixture } from '../../support/fixture.ts';
import { fixtureBytes, goldenModels } from '../../support/golden-model.ts';
import { property } from '../../support/property.ts';
import { configs, seeds, smallModel } from '../../support/small-model.ts';

type Json = Record<string, unknown>;

/** With and without an entropy model where the patching mode does not need one. */
const anyConfig: fc.Arbitrary<BltConfig> = fc
  .tuple(configs, fc.boolean())
  .map(([c, drop]) => (drop && c.patching.mode !== 'entropy' ? { ...c, patcher: null } : c));

const throughJson = (config: BltConfig): unknown => JSON.parse(JSON.stringify(configToHuggingFace(config)));

/** The configurations of the released models. */
function released(
  local: number,
  heads: number,
  decoderLayers: number,
  global: number,
  globalLayers: number,
  k: number,
) {
  const encoder = transformerConfig({ hiddenSize: local, numHiddenLayers: 1, numAttentionHeads: heads });
  const config: BltConfig = {
    vocabSize: VOCAB_SIZE,
    behaviour: 'facebook',
    window: 512,
    encoder: { ...encoder, crossAttnAllLayers: false },
    global: transformerConfig({ hiddenSize: global, numHiddenLayers: globalLayers, numAttentionHeads: global / 128 }),
    decoder: { ...encoder, numHiddenLayers: decoderLayers, crossAttnAllLayers: true },
    patcher: transformerConfig({ hiddenSize: 768, numHiddenLayers: 14, numAttentionHeads: 12, ropeTheta: 10_000 }),
    crossAttnK: k,
    hash: { groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: 500_002 },
    patching: {
      mode: 'entropy',
      threshold: 1.335442066192627,
      monotonic: false,
      thresholdAdd: null,
      maxPatchLength: null,
    },
  };
  return config;
}
const released1b = released(1024, 16, 9, 2048, 25, 2);
const released7b = released(1280, 20, 6, 4096, 32, 4);

describe('config.json', () => {
  property('a configuration comes back from its JSON as it was', anyConfig, 200, (config) => {
    expect(configFromHuggingFace(throughJson(config))).toEqual(config);
  });

  test.each([
    ['1b', released1b, 4_633_391_872],
    ['7b', released7b, 10_653_082_624],
  ])('the %s model has the names, shapes and number of parameters of its checkpoint', (size, config, parameters) => {
    expect(configFromHuggingFace(throughJson(config))).toEqual(config);
    const plan = checkpointPlan(config);
    const shapes = fixture<Record<string, number[]>>(`hf_keys_shapes_blt_${size}.json`);
    expect(Object.fromEntries(plan.map(({ name, shape }) => [name, shape]))).toEqual(shapes);
    expect(plan.length).toBe(Object.keys(shapes).length);
    expect(countParameters(plan)).toBe(parameters);
    expect(countParameters(plan, 'model.patcher.')).toBe(99_512_064);
  });

  test('keys that are missing have the values transformers gives them', () => {
    const stack = { hidden_size: 12, num_attention_heads: 2, num_hidden_layers: 1 };
    const config = configFromHuggingFace({
      encoder_config: stack,
      decoder_config: stack,
      global_config: { ...stack, rope_theta: 5 },
      patcher_config: { ...stack, rope_parameters: { rope_theta: 7, rope_type: 'default' }, rope_scaling: null },
    });
    expect(config).toMatchObject({ behaviour: 'huggingface', window: null, crossAttnK: 2, vocabSize: 260 });
    expect(config.patching).toMatchObject({ mode: 'entropy', threshold: 1.335442066192627 });
    expect(config.hash).toEqual({ groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: 500_002 });
    expect(config.encoder).toMatchObject({ crossAttnAllLayers: false, intermediateSize: 32, ropeTheta: 500_000 });
    expect(config.decoder).toMatchObject({ crossAttnAllLayers: true, numKeyValueHeads: 2, rmsNormEps: 1e-5 });
    expect([config.global.ropeTheta, config.patcher!.ropeTheta]).toEqual([5, 7]);
  });

  const tiny = fixture<Json>('tiny_A_1b_like/config.json');
  const encoder = tiny.encoder_config as Json;
  const global = tiny.global_config as Json;
  const withEncoder = (change: Json) => ({ ...tiny, encoder_config: { ...encoder, ...change } });
  const withGlobal = (change: Json) => ({ ...tiny, global_config: { ...global, ...change } });
  test.each<[unknown, string]>([
    [null, 'config.json: the file must be an object, got null'],
    [[], 'config.json: the file must be an object, got []'],
    [{ ...tiny, model_type: 'llama' }, 'config.json: model_type must be "blt", got "llama"'],
    [{ ...tiny, model_type: 3 }, 'config.json: model_type must be a string, got 3'],
    [{ ...tiny, blt_behaviour: 'fb' }, 'config.json: blt_behaviour must be facebook or huggingface, got "fb"'],
    [{ ...tiny, encoder_config: undefined }, 'config.json: encoder_config must be an object, got nothing'],
    [{ ...tiny, global_config: [1] }, 'config.json: global_config must be an object, got [1]'],
    [{ ...tiny, cross_attn_k: '2' }, 'config.json: cross_attn_k must be a number, got "2"'],
    [{ ...tiny, cross_attn_k: 0 }, 'crossAttnK must be a whole number >= 1, got 0'],
    [{ ...tiny, vocab_size: 259 }, 'vocabSize must be 260 (256 bytes and 4 specials), got 259'],
    [{ ...tiny, monotonicity: 1 }, 'config.json: monotonicity must be a boolean, got 1'],
    [
      { ...tiny, patching_mode: 'words' },
      'config.json: patching_mode must be entropy, space, static, byte or bpe, got "words"',
    ],
    [{ ...tiny, patching_mode: 'static', patch_size: 4.5 }, 'patching: patchSize must be an integer >= 1, got 4.5'],
    [{ ...tiny, max_patch_length: 0 }, 'patching: maxPatchLength must be an integer >= 1, got 0'],
    [{ ...tiny, local_attention_window: 0 }, 'window must be a whole number >= 1, got 0'],
    [
      { ...tiny, patcher_config: null },
      "patching by entropy needs an entropy model; give `patcher`, or choose mode 'space'",
    ],
    [
      { ...tiny, encoder_hash_byte_group_size: [3, 'x'] },
      'config.json: encoder_hash_byte_group_size must be a list of whole numbers, got [3,"x"]',
    ],
    [{ ...tiny, encoder_hash_byte_group_nb_functions: 12 }, 'hash.functions must be at most 11, got 12'],
    [{ ...tiny, encoder_hash_byte_group_vocab: -1 }, 'hash.vocab must be a whole number >= 1, got -1'],
    [withEncoder({ hidden_size: [16] }), 'config.json: encoder_config.hidden_size must be a number, got [16]'],
    [withEncoder({ hidden_size: 'big' }), 'config.json: encoder_config.hidden_size must be a number, got "big"'],
    [withEncoder({ hidden_size: 16.5 }), 'encoder.hiddenSize must be a whole number >= 1, got 16.5'],
    [withEncoder({ num_hidden_layers: 0 }), 'encoder.numHiddenLayers must be a whole number >= 1, got 0'],
    [withGlobal({ num_hidden_layers: 0 }), 'global.numHiddenLayers must be a whole number >= 1, got 0'],
    [
      withGlobal({ hidden_size: 32, num_attention_heads: 3 }),
      'global: hiddenSize 32 is not a multiple of numAttentionHeads 3; change one of them',
    ],
    [
      withGlobal({ hidden_size: 18, num_attention_heads: 2, num_key_value_heads: 2 }),
      'global: head size 9 (hiddenSize 18 / 2 heads) must be even for rotary positions',
    ],
    [
      withGlobal({ num_attention_heads: 4, num_key_value_heads: 3 }),
      'global: numAttentionHeads 4 is not a multiple of numKeyValueHeads 3; change one of them',
    ],
    [
      withEncoder({ hidden_size: 32 }),
      "encoder.hiddenSize 32 and decoder.hiddenSize 16 must be equal: the decoder starts from the encoder's byte states",
    ],
    [withEncoder({ rms_norm_eps: 0 }), 'encoder.rmsNormEps must be > 0, got 0'],
    [withEncoder({ hidden_act: 'gelu' }), 'config.json: encoder_config.hidden_act must be "silu", got "gelu"'],
    [
      withGlobal({ rope_parameters: { rope_type: 'llama3', rope_theta: 1 } }),
      'config.json: global_config.rope_parameters.rope_type must be "default", got "llama3"',
    ],
    [
      withGlobal({ rope_parameters: undefined, rope_scaling: { type: 'linear', factor: 2 } }),
      'config.json: global_config.rope_scaling.type must be "default", got "linear"',
    ],
    [withGlobal({ rope_parameters: { rope_theta: -1 } }), 'global.ropeTheta must be > 0, got -1'],
  ])('refused (%#): %s', (json, message) => {
    let error: unknown;
    try {
      configFromHuggingFace(json);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toBe(message);
  });
});

describe.each(backends)('model.safetensors, $name', ({ backend }) => {
  property(
    'parameters come back from a file bit for bit, and the file from them byte for byte',
    fc.record({ config: anyConfig, seed: seeds }),
    20,
    ({ config, seed }) => {
      const { params, patcher } = smallModel({ ...config, patcher: config.patcher ?? config.global }, seed, backend);
      // Values that a careless copy would lose.
      params.lm_head.weight.assign(
        params.lm_head.weight.readSync().fill(-0, 0, 1).fill(1e-42, 1, 2).fill(Number.NaN, 2, 3),
      );
      const saved = { params, patcher: config.patcher && patcher };
      const bytes = checkpointToSafetensors(saved);
      const loaded = checkpointFromSafetensors(bytes, config, backend);
      expect(loaded.config).toBe(config);
      expect(loaded.patcher === null).toBe(config.patcher === null);
      for (const part of ['params', 'patcher'] as const) {
        const [found, wanted] = [loaded[part], saved[part]].map((tree) => leaves(tree ?? {}));
        expect(found.map(([name, p]) => [name, p.shape])).toEqual(wanted.map(([name, p]) => [name, p.shape]));
        found.forEach(([, p], i) => {
          expect(p.backend).toBe(backend);
          expect(firstDifference(p.readSync(), wanted[i][1].readSync())).toBeNull();
        });
      }
      expect(firstDifference(checkpointToSafetensors(loaded), bytes)).toBeNull();
    },
  );

  test.each(goldenModels)('%s, written by another program, comes back as it was', (model) => {
    const config = configFromHuggingFace(fixture(`${model}/config.json`));
    const bytes = fixtureBytes(`${model}/model.safetensors`);
    const ours = readSafetensors(checkpointToSafetensors(checkpointFromSafetensors(bytes, config, backend)));
    const theirs = readSafetensors(bytes);
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    expect(ours.metadata.get('format')).toBe('pt');
    for (const [name, t] of theirs.tensors)
      expect(firstDifference(ours.tensors.get(name)!.data, t.data), name).toBeNull();
  });

  test('a checkpoint in bfloat16 loads with the values it has', () => {
    const config = configFromHuggingFace(fixture('tiny_B_7b_like/config.json'));
    const { tensors } = readSafetensors(fixtureBytes('tiny_B_7b_like/model.safetensors'));
    const codes = new Map([...tensors].map(([name, t]) => [name, f32ToBf16(toFloat32(t))]));
    const half = writeSafetensors(
      [...tensors].map(([name, { shape }]) => [name, { dtype: 'BF16', shape, data: codes.get(name)! }] as const),
    );
    const { params } = checkpointFromSafetensors(half, config, backend);
    for (const [name, p] of leaves(params)) {
      expect(firstDifference(p.readSync(), bf16ToF32(codes.get(name)!)), name).toBeNull();
    }
  });

  describe('refused', () => {
    const config = configFromHuggingFace(fixture('tiny_A_1b_like/config.json'));
    const good = fixtureBytes('tiny_A_1b_like/model.safetensors');
    type Entries = ReturnType<typeof readSafetensors>['tensors'];
    const changed = (change: (tensors: Entries) => unknown): Uint8Array => {
      const { tensors } = readSafetensors(good);
      change(tensors);
      return writeSafetensors(tensors);
    };
    const half = (tensors: Entries, name: string) => {
      const { dtype, shape, data } = tensors.get(name)!;
      tensors.set(name, { dtype, shape: [shape[0], shape[1] / 2], data: data.subarray(0, data.length / 2) });
    };
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 261600\n';
    test.each<[string, Uint8Array, new (m: string) => Error, string]>([
      [
        'a missing tensor',
        changed((t) => t.delete('model.local_decoder.norm.weight')),
        ConfigError,
        'model.safetensors has no tensor model.local_decoder.norm.weight [16], which config.json asks for',
      ],
      [
        'a missing tensor of the entropy model',
        changed((t) => t.delete('model.patcher.layers.1.mlp.up_proj.weight')),
        ConfigError,
        'model.safetensors has no tensor model.patcher.layers.1.mlp.up_proj.weight [24,16], which config.json asks for',
      ],
      [
        'a wrong shape',
        changed((t) => half(t, 'lm_head.weight')),
        ConfigError,
        'model.safetensors: lm_head.weight has shape [260,8], config.json asks for [260,16]',
      ],
      [
        'a tensor too many',
        changed((t) => t.set('model.rotary.inv_freq', { dtype: 'F32', shape: [1], data: new Uint8Array(4) })),
        ConfigError,
        'model.safetensors: tensor model.rotary.inv_freq has no place in the model that config.json describes',
      ],
      [
        'integers instead of floats',
        changed((t) => Object.assign(t.get('lm_head.weight')!, { dtype: 'I32' })),
        SafetensorsError,
        'tensor "lm_head.weight": dtype I32 cannot be read as floats (F32, F16, BF16, F64)',
      ],
      [
        'a file cut short',
        good.subarray(0, good.length - 1000),
        SafetensorsError,
        'the file is truncated: 260600 bytes are there, its header promises 261600',
      ],
      [
        'a file cut within its header',
        good.subarray(0, 100),
        SafetensorsError,
        'the file is truncated: 100 bytes are there, its header alone needs 13024',
      ],
      [
        'a Git LFS pointer',
        new TextEncoder().encode(pointer),
        SafetensorsError,
        'this is a Git LFS pointer to a file of 261600 bytes, not the file; run: git lfs pull',
      ],
      ['an empty file', new Uint8Array(0), SafetensorsError, 'the file is empty (0 bytes); download or save it again'],
    ])('%s', (_, bytes, type, message) => {
      const before = backend.bytesInUse;
      let error: unknown;
      try {
        checkpointFromSafetensors(bytes, config, backend);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toBe(message);
      expect(backend.bytesInUse).toBeLessThanOrEqual(before);
    });
  });
});

test('keys that a file leaves out are those of the classes of transformers; widths of null are computed', () => {
  const bare = { encoder_config: {}, decoder_config: {}, global_config: {}, patcher_config: {} };
  const config = configFromHuggingFace(bare);
  expect(
    [config.encoder, config.decoder, config.global, config.patcher].map((c) => [
      c?.hiddenSize,
      c?.numHiddenLayers,
      c?.numAttentionHeads,
      c?.intermediateSize,
      c?.maxPositionEmbeddings,
      c?.ropeTheta,
    ]),
  ).toEqual([
    [1024, 1, 16, 2730, 24_576, 500_000],
    [1024, 9, 16, 2816, 24_576, 500_000],
    [2048, 25, 16, 5632, 4096, 500_000],
    [768, 14, 12, 2048, 8192, 10_000],
  ]);
  const computed = configFromHuggingFace({ ...bare, global_config: { intermediate_size: null } });
  expect(computed.global.intermediateSize).toBe(5461);
});

test('tied embeddings are stored once and read twice, where the file says that they are tied', () => {
  const stored = storedInMemory(fixtureBytes('tiny_A_1b_like/model.safetensors'));
  for (const [missing, kept] of [
    ['lm_head.weight', 'model.local_encoder.embed_tokens.weight'],
    ['model.local_encoder.embed_tokens.weight', 'lm_head.weight'],
  ]) {
    const one = new Map([...stored].filter(([name]) => name !== missing));
    const both = withTiedEmbeddings(one, { tie_word_embeddings: true });
    expect(both.get(missing)).toBe(stored.get(kept));
    expect(withTiedEmbeddings(one, { tie_word_embeddings: false })).toBe(one);
  }
  expect(withTiedEmbeddings(stored, { tie_word_embeddings: true })).toBe(stored);
});

test('a model without n-gram tables is written for transformers with one of a single row of zeros: the same logits', () => {
  const [some] = fc.sample(configs, { numRuns: 1, seed: 11 });
  const config = { ...some, hash: { ...some.hash, groupSizes: [] }, patching: { mode: 'byte' as const } };
  const [{ backend }] = backends;
  const model = smallModel(config, 1, backend) as Checkpoint;
  const ids = Int32Array.of(1, 76, 105, 112, 112, 115);
  const logits = (checkpoint: Checkpoint) =>
    traceCheckpoint(checkpoint, [ids]).tensors.find(([name]) => name === 'logits')![1].data as Float32Array;
  const theirs = forTransformers(config, storedInMemory(checkpointToSafetensors(model)));
  expect(theirs.config.hash).toEqual({ groupSizes: [3], functions: 1, vocab: 1 });
  expect(
    firstDifference(logits(checkpointFromStored(theirs.stored, theirs.config, backend)), logits(model)),
  ).toBeNull();
  expect(forTransformers(some, theirs.stored).config).toBe(some.hash.groupSizes.length > 0 ? some : expect.anything());
});

test('what transformers computes otherwise is said for each configuration that it does not know', () => {
  const [config] = fc.sample(configs, { numRuns: 1, seed: 11 });
  const plain = {
    ...config,
    behaviour: 'huggingface' as const,
    patching: { mode: 'entropy' as const, threshold: 1 },
  };
  expect(transformersDiffers(plain)).toEqual([]);
  expect(transformersDiffers({ ...plain, patching: { mode: 'space' } })[0]).toContain('patches by space');
  expect(transformersDiffers({ ...plain, patching: { ...plain.patching, monotonic: true } })[0]).toContain('by rises');
  expect(transformersDiffers({ ...plain, patching: { ...plain.patching, maxPatchLength: 4 } })[0]).toContain(
    'longest patch',
  );
  const facebook = { ...plain, behaviour: 'facebook' as const, window: 64 };
  expect(transformersDiffers(facebook)[0]).toContain('up to 64 bytes a row');
  const all = { ...facebook.encoder, crossAttnAllLayers: true, numHiddenLayers: 2 };
  expect(transformersDiffers({ ...facebook, encoder: all })[1]).toContain('pools anew');
});
