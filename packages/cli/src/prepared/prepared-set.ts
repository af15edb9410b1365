/** @file A folder of shards, read back as what a run needs: entropies and patch lengths of every document. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Corpus, type PatchingOptions, type PerDocument, splitLongPatches } from '@blt-ts/blt';
import { readWholeFile } from '../files/in-pieces.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { shellWords } from '../terminal/shell-words.ts';
import {
  type Identity,
  identityText,
  mostShardBytes,
  parseShard,
  SHARD_NAME,
  type Shard,
  shardName,
} from './shard-file.ts';
import { shardRange, spansOf, tokensOf } from './spans.ts';

/** Entropies and patches of a whole corpus, read from its shards. */
export interface PreparedSet {
  readonly identity: Identity;
  readonly entropyModelSource: string | null;
  readonly entropies: PerDocument<Float32Array> | null;
  /** Cut as `identity.patching` says, maxPatchLength included. */
  readonly patches: PerDocument<Int32Array>;
}

/** Number of shards of the set in a folder. @throws UserError if there is none, part of one, or two */
async function shardCount(folder: string): Promise<number> {
  let entries: string[];
  try {
    entries = await readdir(folder);
  } catch (error) {
    const why = errorCode(error) === 'ENOENT' ? 'there is no such folder' : reason(error);
    throw new UserError(`cannot read prepared data from ${folder}: ${why}`, 2, { cause: error });
  }
  const found = new Map<number, Set<number>>();
  for (const entry of entries) {
    const [, index, of] = (SHARD_NAME.exec(entry) ?? []).map(Number);
    if (of !== undefined) found.set(of, (found.get(of) ?? new Set()).add(index));
  }
  const sets = [...found.keys()].sort((a, b) => a - b);
  if (sets.length === 0)
    throw new UserError(
      `${folder} holds no shards; make them with ${shellWords(['blt', 'prepare', '--out', folder])}`,
      2,
    );
  if (sets.length > 1) {
    throw new UserError(`${folder} holds shards of ${sets.join(' and of ')}; keep one set in a folder`, 2);
  }
  const [of] = sets;
  const missing = Array.from({ length: of }, (_, i) => i + 1).filter((i) => !found.get(of)!.has(i));
  if (missing.length > 0) {
    const list = `${missing.slice(0, 10).join(', ')}${missing.length > 10 ? ', ...' : ''}`;
    throw new UserError(
      `${folder} lacks ${missing.length === 1 ? 'shard' : 'shards'} ${list} of ${of}; make what is missing: blt prepare ... --shard ${missing[0]}/${of} --out ${folder}`,
      2,
    );
  }
  return of;
}

/**
 * One shard from its file.
 * @param tokens of the corpus: a file that is larger than their shard could be is not read
 * @throws UserError
 */
export async function readShard(path: string, tokens: number): Promise<Shard> {
  try {
    const { size } = await stat(path);
    if (size > mostShardBytes(tokens)) {
      throw new UserError(`${path} has ${size} bytes, more than a shard of ${tokens} tokens can have`);
    }
    return parseShard(readWholeFile(path), path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
  }
}

/**
 * All shards of a folder, joined.
 * @param corpusHash SHA-256 of the corpus of the run
 * @throws UserError if shards are missing, damaged, of other data, or do not fit together
 */
export async function readPrepared(folder: string, corpus: Corpus, corpusHash: string): Promise<PreparedSet> {
  const of = await shardCount(folder);
  const all = corpus.train.concat(corpus.heldOut).reduce((n, ids) => n + ids.length, 0);
  let frame: Shard | null = null;
  const entropies: Float32Array[] = [];
  const joined: Int32Array[] = [];
  let last: Int32Array | null = null;
  let open = false;
  for (let index = 1; index <= of; index++) {
    const path = join(folder, shardName(index, of));
    const shard = await readShard(path, all);
    if (shard.identity.corpus !== corpusHash) {
      throw new UserError(
        `${path} was made from other data (SHA-256 ${shard.identity.corpus.slice(0, 12)}, this corpus ${corpusHash.slice(0, 12)}); ` +
          'give prepare and train the same --data, --held-out, --held-out-fraction, --split, --dedupe, --seed and --text-field',
      );
    }
    frame ??= shard;
    if (identityText(shard.identity) !== identityText(frame.identity)) {
      throw new UserError(`${path} was made with another entropy model or other patches than the first shard`);
    }
    const spans = spansOf(corpus, shard.identity);
    // biome-ignore lint/plugin: two numbers
    const tokens = tokensOf(spans.slice(...shardRange(spans.length, index, of)));
    if (shard.index !== index || shard.of !== of || shard.tokens !== tokens) {
      throw new UserError(
        `${path} holds ${shard.tokens} tokens as shard ${shard.index}/${shard.of}; shard ${index}/${of} of this corpus has ${tokens}`,
      );
    }
    if (shard.entropies) entropies.push(shard.entropies);
    // Corpora of fewer spans than shards have empty ones.
    if (shard.tokens === 0) continue;
    let lengths = shard.patchLengths;
    if (open) {
      last![last!.length - 1] += lengths[0];
      lengths = lengths.subarray(1);
    }
    joined.push(lengths);
    if (lengths.length > 0) last = lengths;
    ({ open } = shard);
  }
  if (open) throw new UserError(`the last patch of ${folder} does not end`);
  const { identity, entropyModelSource } = frame!;
  return {
    identity,
    entropyModelSource,
    entropies: identity.entropyModel ? byDocument(entropies, corpus) : null,
    patches: patchesByDocument(joined, corpus, identity.patching, folder),
  };
}

/** Values laid end to end, one array for each document. */
function byDocument(pieces: readonly Float32Array[], corpus: Corpus): PerDocument<Float32Array> {
  let piece = 0;
  let at = 0;
  const of = (documents: readonly Int32Array[]) =>
    documents.map((ids) => {
      const values = new Float32Array(ids.length);
      for (let filled = 0; filled < ids.length; ) {
        while (at === pieces[piece].length) {
          piece++;
          at = 0;
        }
        const n = Math.min(ids.length - filled, pieces[piece].length - at);
        values.set(pieces[piece].subarray(at, at + n), filled);
        filled += n;
        at += n;
      }
      return values;
    });
  return { train: of(corpus.train), heldOut: of(corpus.heldOut) };
}

function patchesByDocument(
  joined: readonly Int32Array[],
  corpus: Corpus,
  { maxPatchLength }: PatchingOptions,
  folder: string,
): PerDocument<Int32Array> {
  const lengths = new Int32Array(joined.reduce((n, part) => n + part.length, 0));
  let filled = 0;
  for (const part of joined) {
    lengths.set(part, filled);
    filled += part.length;
  }
  let at = 0;
  const of = (documents: readonly Int32Array[]) =>
    documents.map((ids, document) => {
      const from = at;
      let sum = 0;
      while (sum < ids.length && at < lengths.length) sum += lengths[at++];
      if (sum !== ids.length) {
        throw new UserError(`${folder}: a patch crosses the end of document ${document}; make the shards again`);
      }
      const own = lengths.slice(from, at);
      return maxPatchLength == null ? own : splitLongPatches(own, maxPatchLength);
    });
  return { train: of(corpus.train), heldOut: of(corpus.heldOut) };
}
