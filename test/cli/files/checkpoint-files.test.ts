import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointFromStored, checkpointToSafetensors } from '@blt-ts/blt';
import { readSafetensors, writeSafetensors } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { importCommand } from '../../../packages/cli/src/commands/import.ts';
import { openModelFolder } from '../../../packages/cli/src/files/checkpoint-files.ts';
import { storedInFolder } from '../../../packages/cli/src/files/weight-files.ts';
import { writeFully, writeModelFolder } from '../../../packages/cli/src/files/write-model-folder.ts';
import { fixtureBytes } from '../../support/golden-model.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MODEL = 'tiny_B_7b_like';

async function original(folder: string): Promise<string> {
  const path = join(folder, 'original');
  await mkdir(path);
  for (const file of ['config.json', 'model.safetensors'])
    await writeFile(join(path, file), fixtureBytes(`${MODEL}/${file}`));
  return path;
}

const weights = (folder: string): Uint8Array => {
  const { config, stored } = openModelFolder(folder);
  return checkpointToSafetensors(checkpointFromStored(stored, config));
};

test('what an import would not read is refused by its name', async () => {
  const folder = temporaryFolder();
  const from = await original(folder);
  const out = join(folder, 'out');
  const none = join(folder, 'none');
  await expect(importCommand(from, { out, entropyModel: none })).rejects.toThrow(
    `${from} has the layout of transformers, in which the entropy model lies among the weights; leave out --entropy-model ${none}`,
  );
  await expect(importCommand(from, { out, window: 64 })).rejects.toThrow(
    /^--window 64 has no meaning under behaviour huggingface, .*; leave it out, or give --behaviour facebook$/,
  );
  await importCommand(from, { out, window: 0 });
  await importCommand(from, { out: `${out}-2`, window: 64, behaviour: 'facebook' });
  const facebook = join(folder, 'facebook');
  await mkdir(facebook);
  await writeFile(
    join(facebook, 'model.safetensors'),
    writeSafetensors([
      ['local_encoder.layers.0.attention.wq.weight', { dtype: 'F32', shape: [1], data: new Float32Array(1) }],
    ]),
  );
  await writeFile(join(facebook, 'params.json'), '{}');
  await expect(importCommand(facebook, { out, entropyModel: none })).rejects.toThrow(
    `cannot open the entropy model ${none}: there is no such folder`,
  );
});

describe('a model folder', () => {
  test('in shards holds the same weights as in one file', async () => {
    const folder = temporaryFolder();
    const from = await original(folder);
    const { config, stored } = openModelFolder(from);
    const to = join(folder, 'shards');
    const { files, bytes } = await writeModelFolder(to, config, stored, { shardBytes: 20_000 });
    expect(files.length).toBeGreaterThan(3);
    expect(files[0]).toBe(`model-00001-of-0000${files.length}.safetensors`);
    expect(Buffer.compare(weights(to), weights(from))).toBe(0);
    const index = JSON.parse(await readFile(join(to, 'model.safetensors.index.json'), 'utf8'));
    expect(index.metadata.total_size).toBe(bytes);
    expect(bytes).toBe([...stored.values()].reduce((n, t) => n + t.bytes, 0));
    expect(Object.keys(index.weight_map).sort()).toEqual([...stored.keys()].sort());
    for (const file of files) {
      const { tensors } = readSafetensors(await readFile(join(to, file)));
      const data = [...tensors.values()].reduce((n, t) => n + t.data.length, 0);
      if (tensors.size > 1) expect(data).toBeLessThanOrEqual(20_000);
    }
  });

  test('written as BF16 and read again is BF16, and stays it when written once more', async () => {
    const folder = temporaryFolder();
    const { config, stored } = openModelFolder(await original(folder));
    await writeModelFolder(join(folder, 'half'), config, stored, { dtype: 'BF16' });
    const half = openModelFolder(join(folder, 'half'));
    expect(new Set([...half.stored.values()].map((t) => t.dtype))).toEqual(new Set(['BF16']));
    const again = await writeModelFolder(join(folder, 'again'), half.config, half.stored);
    expect(again.dtype).toBe('BF16');
    const files = await Promise.all(['half', 'again'].map((f) => readFile(join(folder, f, 'model.safetensors'))));
    expect(Buffer.compare(files[0], files[1])).toBe(0);
  });

  test('in shards smaller than its tensors has one in each file, and no empty file', async () => {
    const folder = temporaryFolder();
    const { config, stored } = openModelFolder(await original(folder));
    const { files } = await writeModelFolder(join(folder, 'shards'), config, stored, { shardBytes: 1 });
    expect(files).toHaveLength(stored.size);
    for (const file of files) {
      expect(readSafetensors(await readFile(join(folder, 'shards', file))).tensors.size).toBe(1);
    }
  });

  test('that cannot be written to the end leaves nothing behind', async () => {
    const folder = temporaryFolder();
    const { config, stored } = openModelFolder(await original(folder));
    const last = [...stored.keys()].at(-1)!;
    const broken = new Map(stored).set(last, {
      ...stored.get(last)!,
      read: () => {
        throw Object.assign(new Error('EIO'), { code: 'EIO' });
      },
    });
    await expect(writeModelFolder(join(folder, 'out'), config, broken)).rejects.toThrow(
      /^cannot write .*out: the device reported a read or write error$/,
    );
    expect(await readdir(folder)).toEqual(['original']);
  });

  test('is not overwritten', async () => {
    const folder = temporaryFolder({ 'one/notes.txt': '' });
    const from = await original(folder);
    const { config, stored } = openModelFolder(from);
    await expect(writeModelFolder(from, config, stored)).rejects.toThrow(
      'exists and is not empty; name another folder',
    );
    await expect(writeModelFolder(join(folder, 'one'), config, stored)).rejects.toThrow('is not empty');
    // What a process that was killed has left is hidden, and is nobody's.
    await mkdir(join(folder, 'left/.blt-writing-left-0'), { recursive: true });
    await writeModelFolder(join(folder, 'left'), config, stored);
    expect(openModelFolder(join(folder, 'left')).config).toEqual(config);
  });
});

test('a disk that takes a few bytes at a time gets them all, in their places', () => {
  const path = join(temporaryFolder(), 'x');
  const file = openSync(path, 'w');
  const few = ((fd: number, data: Uint8Array, from: number, count: number, at: number) =>
    writeSync(fd, data, from, Math.min(3, count), at)) as typeof writeSync;
  writeFully(file, Uint8Array.from([4, 5, 6, 7, 8, 9, 10]), 4, few);
  writeFully(file, Uint8Array.from([0, 1, 2, 3]), 0, few);
  closeSync(file);
  expect([...readFileSync(path)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

describe('an index of shards', () => {
  const shard = writeSafetensors([['a', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }]]);
  const withIndex = async (index: unknown, file = 'x.safetensors') => {
    const folder = temporaryFolder();
    await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
    await writeFile(join(folder, file), shard);
    return folder;
  };

  test('names the file of every tensor', async () => {
    const stored = storedInFolder(await withIndex({ weight_map: { a: 'x.safetensors' } }));
    expect([...stored.keys()]).toEqual(['a']);
    expect(new Float32Array(stored.get('a')!.read().buffer)).toEqual(Float32Array.of(1));
  });

  test.each([
    [{ weight_map: { a: '../x.safetensors' } }, 'a shard is a .safetensors file beside the index'],
    [{ weight_map: { a: '/etc/passwd' } }, 'a shard is a .safetensors file beside the index'],
    [{ weight_map: { a: 3 } }, 'a shard is a .safetensors file beside the index'],
    [{ weight_map: { b: 'x.safetensors' } }, 'has no tensor b, which'],
    [{ weight_map: { a: 'y.safetensors' } }, 'there is no such file'],
    [{}, 'has no weight_map'],
    [[], 'has no weight_map'],
  ])('%j is refused', async (index, message) => {
    const folder = await withIndex(index);
    expect(() => storedInFolder(folder)).toThrow(message);
  });
});

test('the Facebook layout: weights, params.json and the entropy model in a folder of its own', async () => {
  const folder = temporaryFolder();
  const from = await original(folder);
  const { config, stored } = openModelFolder(from);
  const { encoder, decoder, global, patcher, hash } = config;
  const to = join(folder, 'facebook');
  await mkdir(join(to, 'entropy_model'), { recursive: true });
  const rename_ = (name: string) =>
    name
      .replace('model.', '')
      .replace(/^lm_head/, 'local_decoder.output')
      .replace('patcher.lm_head', 'patcher.output')
      .replace('embed_tokens', 'tok_embeddings')
      .replace('post_attention_layernorm', 'ffn_norm')
      .replace('input_layernorm', 'attention_norm')
      .replace('self_attn', 'attention')
      .replace('q_norm', 'cross_attn_norm_q')
      .replace('k_norm', 'cross_attn_norm_kv')
      .replace('mlp.gate_proj', 'feed_forward.w1')
      .replace('mlp.up_proj', 'feed_forward.w3')
      .replace('mlp.down_proj', 'feed_forward.w2')
      .replace(/([qkvo])_proj/, 'w$1');
  const own = [...stored].filter(([name]) => !name.includes('hash_tok'));
  const table = stored.get('model.encoder_hash_tok_embedding.weight')!;
  const tables = hash.functions * hash.groupSizes.length;
  const entry = (name: string, t: { shape: readonly number[] }, data: Uint8Array) =>
    [name, { dtype: 'F32' as const, shape: [...t.shape], data }] as const;
  const model = own.filter(([name]) => !name.startsWith('model.patcher.'));
  await writeFile(
    join(to, 'model.safetensors'),
    writeSafetensors([
      ...model.map(([name, t]) => entry(rename_(name), t, t.read())),
      ...Array.from({ length: tables }, (_, i) =>
        entry(
          `encoder_hash_tok_embedding.${i}.weight`,
          { shape: [hash.vocab, encoder.hiddenSize] },
          table.read((i * table.bytes) / tables, ((i + 1) * table.bytes) / tables),
        ),
      ),
    ]),
  );
  const entropy = own.filter(([name]) => name.startsWith('model.patcher.'));
  await writeFile(
    join(to, 'entropy_model', 'consolidated.safetensors'),
    writeSafetensors(entropy.map(([name, t]) => entry(rename_(name).replace('patcher.', ''), t, t.read()))),
  );
  const params = { entropy_model: { n_heads: patcher!.numAttentionHeads } };
  await writeFile(join(to, 'entropy_model', 'params.json'), JSON.stringify(params));
  const args = {
    dim_local_encoder: encoder.hiddenSize,
    n_heads_local_encoder: encoder.numAttentionHeads,
    n_heads_local_decoder: decoder.numAttentionHeads,
    n_heads_global: global.numAttentionHeads,
    n_kv_heads_global: global.numKeyValueHeads,
    cross_attn_k: config.crossAttnK,
    cross_attn_all_layers_decoder: true,
    encoder_hash_byte_group_size: hash.groupSizes,
    encoder_hash_byte_group_nb_functions: hash.functions,
    rope_theta: encoder.ropeTheta,
    local_attention_window_len: 512,
  };
  await writeFile(join(to, 'params.json'), JSON.stringify({ args: { model: args } }));
  const opened = openModelFolder(to);
  expect(opened.layout).toBe('facebook');
  expect(opened.config).toMatchObject({
    behaviour: 'facebook',
    window: 512,
    patcher: { numAttentionHeads: patcher!.numAttentionHeads },
  });
  expect(Buffer.compare(weights(to), weights(from))).toBe(0);

  // The arguments of the entropy model lie in one of three places.
  for (const other of [{ model: params.entropy_model }, params.entropy_model]) {
    await writeFile(join(to, 'entropy_model', 'params.json'), JSON.stringify(other));
    expect(openModelFolder(to).config.patcher!.numAttentionHeads).toBe(patcher!.numAttentionHeads);
  }

  await rename(join(to, 'entropy_model'), join(folder, 'elsewhere'));
  expect(openModelFolder(to, { entropyModel: join(folder, 'elsewhere') }).config.patcher).not.toBeNull();
});
