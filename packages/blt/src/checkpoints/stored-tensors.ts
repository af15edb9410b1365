/**
 * @file The tensors of a checkpoint before they are loaded: names, dtypes, shapes, and a way to their bytes. Layouts of other
 * programs are turned into ours here, by name, without reading data.
 */

import {
  formatShape,
  readSafetensors,
  type SafetensorsDtype,
  SafetensorsError,
  type Shape,
  sameShape,
  sizeOf,
  toFloat32,
} from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import type { ParameterPlan } from '../model/parameters.ts';

/** A tensor that lies in a file or in memory. */
export interface StoredTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: Shape;
  readonly bytes: number;
  /** Its data from byte `begin` to `end` (excluded); all of it by default. */
  read(begin?: number, end?: number): Uint8Array;
}

/** Tensors by their names in the file. */
export type StoredTensors = ReadonlyMap<string, StoredTensor>;

/** The tensors of a safetensors file in memory. @throws SafetensorsError for a broken file */
export function storedInMemory(file: Uint8Array): StoredTensors {
  return new Map(
    [...readSafetensors(file).tensors].map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, bytes: data.length, read: (begin = 0, end = data.length) => data.subarray(begin, end) },
    ]),
  );
}

/** Rows of several tensors one after the other, as one tensor. @throws SafetensorsError if they do not fit together */
function stacked(name: string, parts: readonly StoredTensor[]): StoredTensor {
  const [first] = parts;
  for (const { dtype, shape } of parts) {
    if (dtype !== first.dtype || !sameShape(shape.slice(1), first.shape.slice(1))) {
      throw new SafetensorsError(
        `${name}: tables of ${first.dtype} ${formatShape(first.shape)} and ${dtype} ${formatShape(shape)} do not make one`,
      );
    }
  }
  const ends: number[] = [];
  for (const { bytes } of parts) ends.push((ends.at(-1) ?? 0) + bytes);
  const bytes = ends.at(-1)!;
  return {
    dtype: first.dtype,
    shape: [parts.reduce((n, p) => n + p.shape[0], 0), ...first.shape.slice(1)],
    bytes,
    read(begin = 0, end = bytes) {
      const out = new Uint8Array(end - begin);
      parts.forEach((part, i) => {
        const start = ends[i] - part.bytes;
        const [from, to] = [Math.max(begin, start), Math.min(end, ends[i])];
        if (from < to) out.set(part.read(from - start, to - start), from - begin);
      });
      return out;
    },
  };
}

/** Name of the fused hash table. */
export const HASH_TABLE = 'model.encoder_hash_tok_embedding.weight';

const HASH_TABLES = /^encoder_hash_tok_embedding\.(\d+)\.weight$/;

/** Facebook's names, piece by piece. */
const FACEBOOK: readonly (readonly [RegExp, string])[] = [
  [/\.attention\.w([qkvo])\./, '.self_attn.$1_proj.'],
  [/(\.cross_attn_layers\.\d+)\.w([qkvo])\./, '$1.$2_proj.'],
  [/\.feed_forward\.w1\./, '.mlp.gate_proj.'],
  [/\.feed_forward\.w2\./, '.mlp.down_proj.'],
  [/\.feed_forward\.w3\./, '.mlp.up_proj.'],
  [/\.attention_norm\./, '.input_layernorm.'],
  [/\.ffn_norm\./, '.post_attention_layernorm.'],
  [/\.cross_attn_norm_q\./, '.q_norm.'],
  [/\.cross_attn_norm_kv\./, '.k_norm.'],
  [/(^|\.)tok_embeddings\./, '$1embed_tokens.'],
  [/^local_decoder\.output\./, 'lm_head.'],
  [/^patcher\.output\./, 'patcher.lm_head.'],
];

/** True for the names of facebookresearch/blt. */
export const isFacebookLayout = (names: Iterable<string>): boolean =>
  [...names].some((name) => /^local_encoder\.layers\.\d+\.attention\.wq\.weight$/.test(name));

/**
 * The same tensors under the Hugging Face names: Facebook's are renamed, its hash tables (function-major, then size) stacked, its
 * rotary tables, which are computed here, left out. Its entropy model must come under the prefix `patcher.`. Other names stay.
 * @see spec of the released checkpoints: facebookresearch/blt and transformers `models/blt`
 */
export function withHuggingFaceNames(stored: StoredTensors): StoredTensors {
  if (!isFacebookLayout(stored.keys())) return stored;
  const renamed = new Map<string, StoredTensor>();
  const tables: StoredTensor[] = [];
  for (const [name, tensor] of stored) {
    const table = HASH_TABLES.exec(name);
    if (table) {
      tables[Number(table[1])] = tensor;
      continue;
    }
    if (/(^|\.)rope(_embeddings)?\.freqs_cis$/.test(name)) continue;
    const hf = FACEBOOK.reduce((n, [pattern, to]) => n.replace(pattern, to), name);
    renamed.set(hf.startsWith('lm_head.') ? hf : `model.${hf}`, tensor);
  }
  if (tables.length > 0) {
    for (let i = 0; i < tables.length; i++) {
      if (!tables[i]) throw new SafetensorsError(`there is no tensor encoder_hash_tok_embedding.${i}.weight`);
    }
    renamed.set(HASH_TABLE, stacked('encoder_hash_tok_embedding', tables));
  }
  return renamed;
}

const TIED = ['model.local_encoder.embed_tokens.weight', 'lm_head.weight'] as const;

/**
 * The same tensors with both names of tied embeddings: transformers stores such a tensor once. Here they are two parameters from then on.
 * @param json of config.json: only with `tie_word_embeddings` may one of the two be missing
 */
export function withTiedEmbeddings(stored: StoredTensors, json: unknown): StoredTensors {
  const tied = (json as { tie_word_embeddings?: unknown } | null)?.tie_word_embeddings === true;
  const [absent, present] = stored.has(TIED[0]) ? [TIED[1], TIED[0]] : TIED;
  const tensor = stored.get(present);
  return tied && tensor && !stored.has(absent) ? new Map([...stored, [absent, tensor]]) : stored;
}

/** Names and shapes alone, enough to be compared with a plan. The lists of released models have no more. */
export type NamedShapes = ReadonlyMap<string, { readonly shape: Shape }>;

/**
 * Checks names and shapes against what the configuration asks for, before anything is allocated.
 * @throws ConfigError naming the first missing tensor, wrong shape, or tensor without a place
 */
export function checkAgainstPlan(plan: readonly ParameterPlan[], stored: NamedShapes): void {
  for (const { name, shape } of plan) {
    const found = stored.get(name);
    if (!found) {
      throw new ConfigError(
        `model.safetensors has no tensor ${name} ${formatShape(shape)}, which config.json asks for`,
      );
    }
    if (!sameShape(found.shape, shape)) {
      throw new ConfigError(
        `model.safetensors: ${name} has shape ${formatShape(found.shape)}, config.json asks for ${formatShape(shape)}`,
      );
    }
  }
  const known = new Set(plan.map((p) => p.name));
  for (const name of stored.keys()) {
    if (!known.has(name)) {
      throw new ConfigError(`model.safetensors: tensor ${name} has no place in the model that config.json describes`);
    }
  }
}

/**
 * Reads single rows of the fused hash table from where it is stored: decoding a byte needs six of its three million.
 * @returns from row numbers to their values, one row after the other, float32
 */
export function hashRowsOf(stored: StoredTensors): (rows: Int32Array) => Float32Array {
  const table = stored.get(HASH_TABLE);
  if (!table) throw new ConfigError(`the checkpoint has no tensor ${HASH_TABLE}`);
  const [count, width] = table.shape;
  const bytes = table.bytes / count;
  return (rows) => {
    const out = new Float32Array(rows.length * width);
    rows.forEach((row, i) => {
      const data = table.read(row * bytes, (row + 1) * bytes);
      out.set(toFloat32({ dtype: table.dtype, shape: [width], data }, HASH_TABLE), i * width);
    });
    return out;
  };
}

/** Bytes that the values of a plan take, those of the hash tables apart: they can stay on disk. */
export function planMemory(plan: readonly ParameterPlan[]): { values: number; hashValues: number } {
  let [values, hashValues] = [0, 0];
  for (const { name, shape } of plan) {
    if (name === HASH_TABLE) hashValues += sizeOf(shape);
    else values += sizeOf(shape);
  }
  return { values, hashValues };
}
