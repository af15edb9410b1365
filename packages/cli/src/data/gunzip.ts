/** @file Decompressing gzip within bounds. Compressed data may come from anyone. */
import { constants as bufferLimits } from 'node:buffer';
import { createGunzip, type Gunzip, gunzip as gunzipWhole } from 'node:zlib';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { fromStream, plainView, type Reading } from './read-file.ts';

const MIB = 1024 ** 2;

/** Compressed data may grow to this many times its size (ordinary text: 3 to 10 times; deflate's own limit: 1032 times)... */
export const MAX_GUNZIP_RATIO = 200;
/** ...or to this size if that is more, so that small files of zeros are no trouble... */
export const GUNZIP_FREE_BYTES = 256 * MIB;
/** ...but never past this. */
export const MAX_GUNZIP_BYTES = Math.min(4 * 1024 * MIB, bufferLimits.MAX_LENGTH);

/** Most bytes that `compressedBytes` of gzip may become: min(4 GiB, max(256 MiB, 200 * compressedBytes)). */
export function gunzipLimit(compressedBytes: number): number {
  return Math.min(MAX_GUNZIP_BYTES, Math.max(GUNZIP_FREE_BYTES, MAX_GUNZIP_RATIO * compressedBytes));
}

/** Decompresses members from the start of `bytes`, and says how many bytes of them that took. */
function members(bytes: Uint8Array, limit: number): Promise<{ plain: Uint8Array; read: number }> {
  return new Promise((resolve, reject) => {
    gunzipWhole(bytes, { maxOutputLength: limit, info: true }, (error, result) => {
      if (error) return reject(error);
      const { buffer, engine } = result as unknown as { buffer: Buffer; engine: Gunzip };
      resolve({ plain: plainView(buffer), read: engine.bytesWritten });
    });
  });
}

/**
 * Decompresses a whole .gz: one member or several end to end. Zero bytes after a member are padding, as tape archives have it.
 * @param limit most bytes to accept, {@link gunzipLimit} by default
 * @throws UserError if it is no gzip, is damaged, has anything else after a member, or grows past the limit
 */
export async function gunzipBytes(
  bytes: Uint8Array,
  name: string,
  limit = gunzipLimit(bytes.length),
): Promise<Uint8Array> {
  checkMagic(bytes, name);
  const parts: Uint8Array[] = [];
  let grown = 0;
  let at = 0;
  while (at < bytes.length) {
    if (at > 0 && !isGzip(bytes.subarray(at))) {
      throw notGzip(name, at);
    }
    try {
      // zlib takes a limit of at least 1; what is over by that byte is caught below.
      const { plain, read } = await members(bytes.subarray(at), Math.max(1, limit - grown));
      parts.push(plain);
      grown += plain.length;
      at += read;
    } catch (error) {
      if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(name, limit, bytes.length);
      throw damaged(name, error);
    }
    if (grown > limit) throw tooLarge(name, limit, bytes.length);
    while (bytes[at] === 0) at++;
  }
  return parts.length === 1 ? parts[0] : plainView(Buffer.concat(parts));
}

/**
 * The first `most` bytes of what a .gz holds. If it holds more, nothing behind them is looked at.
 * @throws UserError as {@link gunzipBytes}
 */
export async function gunzipStart(bytes: Uint8Array, name: string, most: number): Promise<Reading> {
  checkMagic(bytes, name);
  const stream = createGunzip();
  stream.end(bytes);
  try {
    const start = await fromStream(stream, name, { most });
    if (start.size === null) return start;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw damaged(name, error);
  }
  // It ended before: the end is to be looked at too, and there may be more behind padding.
  const plain = await gunzipBytes(bytes, name);
  return { bytes: plain.slice(0, most), size: plain.length };
}

/** Chunks of a file, which can be given back. */
class Chunks {
  /** The byte of the file that comes next. */
  at = 0;
  private back: Uint8Array[] = [];
  private readonly iterator: AsyncIterator<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.iterator = chunks[Symbol.asyncIterator]();
  }

  /** The next chunk, which is not empty; null at the end. */
  async next(): Promise<Uint8Array | null> {
    let chunk = this.back.shift();
    while (chunk === undefined || chunk.length === 0) {
      const { done, value } = await this.iterator.next();
      if (done) return null;
      chunk = value;
    }
    this.at += chunk.length;
    return chunk;
  }

  giveBack(chunks: readonly Uint8Array[]): void {
    this.back = chunks.concat(this.back);
    this.at -= chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** The bytes that come next, no fewer than two unless there are none; null at the end. */
  async peek(): Promise<Uint8Array | null> {
    let head = await this.next();
    if (head === null) return null;
    if (head.length === 1) head = Buffer.concat([head, (await this.next()) ?? new Uint8Array()]);
    this.giveBack([head]);
    return head;
  }

  async skipZeros(): Promise<void> {
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) {
      const from = chunk.findIndex((byte) => byte !== 0);
      if (from >= 0) return this.giveBack([chunk.subarray(from)]);
    }
  }

  async close(): Promise<void> {
    await this.iterator.return?.();
  }
}

/** Gives chunks to a stream until it is closed. What it has not read is given back. */
async function feed(stream: Gunzip, chunks: Chunks): Promise<void> {
  const given: Uint8Array[] = [];
  let end = 0;
  try {
    for (;;) {
      const chunk = stream.destroyed ? null : await chunks.next();
      if (chunk === null) break;
      given.push(chunk);
      end += chunk.length;
      while (given.length > 0 && end - lengthOf(given) + given[0].length <= stream.bytesWritten) given.shift();
      if (stream.destroyed) break;
      if (!stream.write(chunk)) await new Promise((resolve) => stream.once('drain', resolve).once('close', resolve));
    }
    if (!stream.destroyed) stream.end();
  } catch (error) {
    stream.destroy(error as Error);
  }
  await closed(stream);
  // It stops at the zero bytes behind a member. What comes after them is not lost.
  const rest = Buffer.concat(given).subarray(stream.bytesWritten - (end - lengthOf(given)));
  if (rest.length > 0) chunks.giveBack([rest]);
}

const lengthOf = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

const closed = async (stream: Gunzip): Promise<void> => {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once('close', () => resolve()));
};

/**
 * The contents of gzip data, piece by piece, however many members they have. Zero bytes after a member are padding.
 * @param limit most bytes to accept
 * @throws UserError as {@link gunzipBytes}
 */
export async function* gunzip(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  limit: number,
): AsyncGenerator<Uint8Array> {
  const source = new Chunks(chunks);
  let grown = 0;
  try {
    for (let head = await source.peek(); head !== null; head = await source.peek()) {
      if (source.at === 0) checkMagic(head, name);
      else if (!isGzip(head)) throw notGzip(name, source.at);
      for await (const part of membersOf(source)) {
        grown += part.length;
        if (grown > limit) throw tooLarge(name, limit);
        yield plainView(part);
      }
      await source.skipZeros();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw damaged(name, error);
  } finally {
    await source.close();
  }
}

/** The contents of members that follow one another at once. */
async function* membersOf(source: Chunks): AsyncGenerator<Buffer> {
  const stream = createGunzip();
  const feeding = feed(stream, source);
  try {
    for await (const part of stream) yield part;
  } finally {
    stream.destroy();
    await feeding;
  }
}

const notGzip = (name: string, at: number): UserError =>
  new UserError(`${name} is damaged: from byte ${at} on it is no gzip data; fetch or compress it again`);

const damaged = (name: string, error: unknown): UserError =>
  new UserError(`${name} is damaged or cut short (${reason(error)}); fetch or compress it again`);

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

function checkMagic(bytes: Uint8Array, name: string): void {
  if (bytes.length === 0 || isGzip(bytes)) return;
  throw new UserError(
    `${name} is not gzip data (it does not start with the bytes 1f 8b); rename it if it is not compressed`,
  );
}

const tooLarge = (name: string, limit: number, size?: number): UserError =>
  new UserError(
    `${name}${size === undefined ? '' : ` (${humanBytes(size)})`} decompresses to more than ${humanBytes(limit)}; ` +
      'if that is meant, decompress it yourself and give the plain file',
  );
