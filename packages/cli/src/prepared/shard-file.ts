/**
 * @file A shard on disk: a safetensors file with `entropies` F32 [tokens] (patching by entropy only), `patch_lengths` I32 [patches],
 * and as metadata what it was made from. What is read is hostile until checked.
 */
import type { PatchingOptions } from '@blt-ts/blt';
import { readSafetensors, SafetensorsError, toFloat32, toInt32, writeSafetensors } from '@blt-ts/tensor';
import * as z from 'zod';
import { MAX_ENTROPY_NATS } from '../config/options.ts';
import { patchingSchema } from '../config/patching-schema.ts';
import { checked } from '../files/checked.ts';
import { sha256Of } from '../files/in-pieces.ts';
import { UserError } from '../terminal/errors.ts';

/** More shards than this are a slip of the keyboard. */
export const MOST_SHARDS = 99_999;

const count = (max = Number.MAX_SAFE_INTEGER) => z.int().min(0).max(max);
const sha256 = () => z.string().regex(/^[0-9a-f]{64}$/, 'no SHA-256');

const identitySchema = z.strictObject({
  /** SHA-256 of the corpus, as a run has it. */
  corpus: sha256(),
  tokens: count(),
  /** See SpanSizes. */
  context: count(2 ** 26).min(1),
  batch: count(2 ** 26).min(1),
  /** SHA-256 of the entropy model, and how far it looks back; null where entropies decide nothing. */
  entropyModel: z.strictObject({ sha256: sha256(), window: count().min(1) }).nullable(),
  patching: patchingSchema,
  /** The kernels that computed. Results of others differ in their last bits. */
  kernels: z.string().max(100),
});

/** Origin of a shard: data, entropy model and patching. Equal for all shards of a set, whatever their number. */
export interface Identity extends z.infer<typeof identitySchema> {
  readonly patching: PatchingOptions;
}

/** Entropies and patch lengths of one share of a corpus. */
export interface Shard {
  readonly identity: Identity;
  /** Where the entropy model lay, for people and as a default. */
  readonly entropyModelSource: string | null;
  /** This is shard `index` of `of`, counted from 1. */
  readonly index: number;
  readonly of: number;
  readonly tokens: number;
  /** nats [tokens], null where entropies decide nothing */
  readonly entropies: Float32Array | null;
  /** Lengths before `maxPatchLength` splits any; their sum is `tokens`. */
  readonly patchLengths: Int32Array;
  /** The last patch goes on in the next shard. */
  readonly open: boolean;
}

export const shardName = (index: number, of: number): string =>
  `shard-${String(index).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.safetensors`;
export const SHARD_NAME = /^shard-(\d{5})-of-(\d{5})\.safetensors$/;

/** One text for equal identities. */
export const identityText = (identity: Identity): string => JSON.stringify(identitySchema.parse(identity));

const FORMAT = 'blt-prepared-1';

function contentHash(entropies: Float32Array | null, patchLengths: Int32Array): string {
  const lists = [...(entropies ? [entropies] : []), patchLengths];
  return sha256Of(lists.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)));
}

/** The bytes of a shard's file: the same for the same shard. */
export function shardBytes(shard: Shard): Uint8Array {
  const { entropies, patchLengths } = shard;
  return writeSafetensors(
    [
      ...(entropies ? [['entropies', { dtype: 'F32', shape: [entropies.length], data: entropies }] as const] : []),
      ['patch_lengths', { dtype: 'I32', shape: [patchLengths.length], data: patchLengths }],
    ],
    {
      format: FORMAT,
      identity: identityText(shard.identity),
      entropy_model: shard.entropyModelSource ?? '',
      shard: `${shard.index}/${shard.of}`,
      tokens: String(shard.tokens),
      open: String(shard.open),
      sha256: contentHash(entropies, patchLengths),
    },
  );
}

const metadataSchema = z.strictObject({
  format: z.literal(FORMAT),
  identity: z.string().max(10_000),
  entropy_model: z.string().max(10_000),
  shard: z.string().regex(/^\d{1,5}\/\d{1,5}$/),
  tokens: z.string().regex(/^\d{1,15}$/),
  open: z.enum(['true', 'false']),
  sha256: sha256(),
});

/** Most bytes a shard of so many tokens can have: entropies, a length for each token, the header. */
export const mostShardBytes = (tokens: number): number => 8 * tokens + 65_536;

/**
 * Reads a shard and checks it by itself: layout, metadata, SHA-256 of the content, every value.
 * @param name how messages call it
 * @throws UserError in one sentence
 */
export function parseShard(bytes: Uint8Array, name: string): Shard {
  const bad = (why: string) => new UserError(`${name} cannot be used: ${why}; make it again with blt prepare`);
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const meta = checked(metadataSchema, Object.fromEntries(metadata), name);
    let json: unknown;
    try {
      json = JSON.parse(meta.identity);
    } catch (error) {
      throw bad(`its identity is not JSON (${(error as Error).message})`);
    }
    const identity = checked(identitySchema, json, name);
    const [index, of] = meta.shard.split('/').map(Number);
    if (index < 1 || index > of) throw bad(`it says to be shard ${meta.shard}`);
    const names = identity.entropyModel ? ['entropies', 'patch_lengths'] : ['patch_lengths'];
    if (tensors.size !== names.length || !names.every((n) => tensors.get(n)?.shape.length === 1)) {
      throw bad(
        `it must hold the lists ${names.join(' and ')}, and holds ${[...tensors.keys()].join(', ').slice(0, 100)}`,
      );
    }
    const [H, lengths] = [tensors.get('entropies'), tensors.get('patch_lengths')!];
    if ((H && H.dtype !== 'F32') || lengths.dtype !== 'I32') throw bad('entropies must be F32 and patch_lengths I32');
    const entropies = H ? toFloat32(H, 'entropies') : null;
    const patchLengths = toInt32(lengths, 'patch_lengths');
    if (contentHash(entropies, patchLengths) !== meta.sha256) throw bad('its content does not match its SHA-256');
    const tokens = Number(meta.tokens);
    if (entropies && entropies.length !== tokens)
      throw bad(`it has ${entropies.length} entropies for ${tokens} tokens`);
    // Rounding may take an entropy a little past its limits.
    const strange = entropies?.find((h) => !(h >= -1e-3 && h <= MAX_ENTROPY_NATS + 1e-3));
    if (strange !== undefined)
      throw bad(`it holds the entropy ${strange}; entropies are 0 .. ${MAX_ENTROPY_NATS.toFixed(4)}`);
    let sum = 0;
    for (const length of patchLengths) {
      if (length < 1) throw bad(`it holds a patch of length ${length}`);
      sum += length;
    }
    if (sum !== tokens) throw bad(`its patches cover ${sum} of ${tokens} tokens`);
    return {
      identity,
      entropyModelSource: meta.entropy_model || null,
      index,
      of,
      tokens,
      entropies,
      patchLengths,
      open: meta.open === 'true',
    };
  } catch (error) {
    if (error instanceof SafetensorsError) throw bad(error.message);
    throw error;
  }
}
