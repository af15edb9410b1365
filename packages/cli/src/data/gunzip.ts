/** @file Decompressing gzip within bounds. Compressed data may come from anyone. */
import { constants as bufferLimits } from 'node:buffer';
import { Readable } from 'node:stream';
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
      throw new UserError(
        `${name} is damaged: ${bytes.length - at} bytes from byte ${at} on are no gzip data; fetch or compress it again`,
      );
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

/**
 * The contents of gzip data, piece by piece, however many members they have.
 * @param limit most bytes to accept
 * @throws UserError as {@link gunzipBytes}
 */
export async function* gunzip(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  async function* checkedHead(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (isFirst) checkMagic(chunk, name);
      isFirst = false;
      yield chunk;
    }
  }
  let grown = 0;
  const stream = createGunzip();
  const source = Readable.from(checkedHead());
  source.on('error', (error) => stream.destroy(error));
  try {
    for await (const part of source.pipe(stream)) {
      grown += part.length;
      if (grown > limit) throw tooLarge(name, limit);
      yield plainView(part);
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw damaged(name, error);
  } finally {
    source.destroy();
  }
}

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
