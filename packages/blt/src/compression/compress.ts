/**
 * @file Compression: the bytes of a text under a range coder, with the probabilities that a model gives them. The archive has as many bits
 * as the model's cross-entropy, and some 50 bytes; blocks that would grow are stored. Whoever has the model reads it back, byte for byte.
 * @see docs/compression.md; Bellard 2023, ts_zip; Bellard 2019, Lossless data compression with neural networks (NNCP)
 */
import { ArchiveError } from '../errors.ts';
import { layoutOptions, surelyRead } from '../model/config.ts';
import { type Progress, result } from '../training/evaluation.ts';
import { type Archive, type ArchiveHeader, CHECKSUM_BYTES, MOST_PLACES, writeArchive } from './archive-format.ts';
import { cutBlocks, partSizes } from './blocks.ts';
import { type CodingMemory, type CodingModel, joined, sameBytes, sha256 } from './coding-model.ts';
import { codeStreams, type StreamRunner, type StreamWork } from './streams.ts';

/** Options of `compress`. All but the last two stand in the archive, so decompressing needs none of them. */
export interface CompressOptions {
  /**
   * Bytes of a block (default 8192). Each begins with no context. Decompressing is faster the more blocks there are, and the archive is
   * larger by some bytes for each.
   */
  readonly blockBytes?: number;
  /**
   * Most ids that the model looks back, 2 or more. By default 1024, or 256 where its local models look back no further than 512, or all
   * that it takes if that is less: a byte costs attention to all of them.
   */
  readonly contextBytes?: number;
  /** Blocks coded side by side (default 32). More take more memory. */
  readonly places?: number;
  /** The model as `packModel` made it, to travel with the archive. It must be the one that compresses. */
  readonly packedModel?: Uint8Array;
  /**
   * Predicts beside the model, and learns from what is coded. The archive is smaller where the text is like the one remembered, and
   * decompressing needs the memory as well. All blocks are one stream then, so it is slower. A text that it would not make smaller is
   * coded without it.
   */
  readonly memory?: CodingMemory;
  /** Codes the streams (default: this thread, one after the other). The archive does not depend on it. With a memory it has no work. */
  readonly runner?: StreamRunner;
}

const DEFAULTS = { blockBytes: 8192, places: 32 };

/** A pair of streams for every so many bytes: two threads then have the same work, and one stream costs some 3 bytes. */
const PAIR_BYTES = 65_536;

/** The streams of a text. */
export interface StreamLayout {
  readonly streams: number;
  /** Blocks of each. */
  readonly blocks: number;
}

/**
 * The streams that `compress` makes of so many bytes. They depend on nothing else, so any number of threads opens any archive.
 * @param withMemory all bytes are one stream, because each would have a memory of its own, and learn from its own bytes only
 */
export function streamLayout(size: number, blockBytes: number = DEFAULTS.blockBytes, withMemory = false): StreamLayout {
  if (size === 0) return { streams: 0, blocks: 0 };
  if (withMemory) return { streams: 1, blocks: Math.ceil(size / blockBytes) };
  const streams = Math.min(Math.ceil(size / blockBytes), 2 * Math.ceil(size / PAIR_BYTES));
  return { streams, blocks: Math.ceil(Math.floor(size / streams) / blockBytes) };
}

/**
 * An archive of a text.
 * @throws RangeError for an option out of range, NonFiniteError for a model whose predictions are no numbers
 */
export const compress = (text: Uint8Array, model: CodingModel, options?: CompressOptions): Promise<Uint8Array> =>
  result(compressing(text, model, options));

/** `compress`, piece by piece: whoever drives it may stop between two of them. */
export async function* compressing(
  text: Uint8Array,
  model: CodingModel,
  options: CompressOptions = {},
): AsyncGenerator<Progress, Uint8Array<ArrayBuffer>> {
  const most = surelyRead(model.checkpoint.config);
  const { window } = layoutOptions(model.checkpoint.config);
  const contextBytes = options.contextBytes ?? Math.min(window !== null && window <= 512 ? 256 : 1024, most);
  const { blockBytes = DEFAULTS.blockBytes, places = DEFAULTS.places } = options;
  checkWhole('contextBytes', contextBytes, 2, most);
  checkWhole('blockBytes', blockBytes, 1, Number.MAX_SAFE_INTEGER);
  checkWhole('places', places, 1, MOST_PLACES);
  const packed = options.packedModel ?? new Uint8Array(0);
  const { memory, runner = inThisThread(model) } = options;
  const header = {
    fingerprint: model.fingerprint,
    arithmetic: model.arithmetic,
    checksum: (await sha256([text])).slice(0, CHECKSUM_BYTES),
    memory: memory?.fingerprint ?? new Uint8Array(0),
    size: text.length,
    ...streamLayout(text.length, blockBytes, memory !== undefined),
    places,
    contextBytes,
  };
  const encoder = memory ? inThisThread(model, memory) : runner;
  const coded = yield* coding(encoder, 'encode', header, cutBlocks(text, header.streams));
  if (memory && (text.length === 0 || coded.some(({ length }) => length >= text.length))) {
    const { memory: _, ...others } = options;
    return yield* compressing(text, model, others);
  }
  return writeArchive({ header, model: packed, coded });
}

/**
 * The text of an archive.
 * @param memory that of an archive whose header has the fingerprint of one
 * @throws ArchiveError if the model or the memory is another, the machine computes other bits, or the archive is damaged or cut off
 */
export const decompress = (archive: Archive, model: CodingModel, memory?: CodingMemory): Promise<Uint8Array> =>
  result(decompressing(archive, model, { memory }));

/**
 * `decompress`, piece by piece. The text is checked before it is returned, and nothing of it is given out before.
 * @param options memory: that of an archive whose header has the fingerprint of one. runner: decodes the streams of the others (default: this
 * thread, one after the other)
 */
export async function* decompressing(
  { header, coded }: Archive,
  model: CodingModel,
  { memory, runner = inThisThread(model) }: Pick<CompressOptions, 'memory' | 'runner'> = {},
): AsyncGenerator<Progress, Uint8Array<ArrayBuffer>> {
  checkModel(header, model);
  const decoder = header.memory.length > 0 ? inThisThread(model, checkedMemory(header, memory)) : runner;
  const most = surelyRead(model.checkpoint.config);
  if (header.contextBytes > most) {
    throw new ArchiveError(`the archive needs a context of ${header.contextBytes}, the model takes ${most}`);
  }
  const text = joined(yield* coding(decoder, 'decode', header, coded));
  const found = await sha256([text]);
  if (header.checksum.some((byte, i) => byte !== found[i])) {
    throw new ArchiveError('the archive is damaged: its contents do not have the checksum that it gives');
  }
  return text;
}

/** The streams of a text, coded or read. */
async function* coding(
  runner: StreamRunner,
  direction: StreamWork['direction'],
  { size, streams, blocks, places, contextBytes }: ArchiveHeader,
  inputs: readonly Uint8Array[],
): AsyncGenerator<Progress, readonly Uint8Array[]> {
  if (streams === 0) return [];
  const sizes = partSizes(size, streams);
  const work = runner({ direction, inputs, sizes, blocks, places, contextBytes });
  for (;;) {
    const next = await work.next();
    if (next.done) return next.value;
    yield { done: next.value, total: size };
  }
}

/** Codes streams here. */
const inThisThread = ({ checkpoint }: CodingModel, beside?: CodingMemory): StreamRunner =>
  async function* (work) {
    return yield* codeStreams({ ...work, memory: beside?.memory }, checkpoint);
  };

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

function checkModel(header: ArchiveHeader, model: CodingModel): void {
  if (!sameBytes(header.fingerprint, model.fingerprint)) {
    throw new ArchiveError(
      `the archive was made with another model (fingerprint ${hex(header.fingerprint)}, not ${hex(model.fingerprint)}); give that one`,
    );
  }
  if (!sameBytes(header.arithmetic, model.arithmetic)) {
    throw new ArchiveError(
      'the model computes other bits here than where the archive was made; use the wasm backend, deterministic and batchInvariant',
    );
  }
}

/** The memory that an archive needs. */
function checkedMemory(header: ArchiveHeader, memory: CodingMemory | undefined): CodingMemory {
  if (!memory) {
    throw new ArchiveError(
      `the archive needs the memory with the fingerprint ${hex(header.memory)}, and none is given`,
    );
  }
  if (!sameBytes(header.memory, memory.fingerprint)) {
    throw new ArchiveError(
      `the archive was made with another memory (fingerprint ${hex(header.memory)}, not ${hex(memory.fingerprint)}); give that one`,
    );
  }
  return memory;
}

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`compress: ${name} must be a whole number from ${least} to ${most}, got ${value}`);
}
