import { constants as bufferLimits } from 'node:buffer';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { errorCode, reason, UserError } from '../errors.ts';
import { humanBytes } from '../human-units.ts';

const gunzipAsync = promisify(gunzip);

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

/** All bytes of a file, pipe or device (`/dev/fd/63` of a shell's `<(...)`). */
export async function readBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const info = await handle.stat();
    if (info.size > bufferLimits.MAX_LENGTH) {
      const limit = humanBytes(bufferLimits.MAX_LENGTH);
      throw new UserError(`${path} has ${humanBytes(info.size)}; one file can have at most ${limit}; split it`);
    }
    // Pipes and files of /proc say size 0: read those to their end.
    if (!info.isFile() || info.size === 0) return plainView(await handle.readFile());
    // Not readFile: it refuses files over 2 GiB.
    const bytes = new Uint8Array(info.size);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, Math.min(bytes.length - filled, 64 * MIB), null);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await handle.close();
  }
}

/**
 * Decompresses a whole .gz (several members end to end too).
 * @param limit most bytes to accept, {@link gunzipLimit} by default
 * @throws UserError if it is no gzip, is damaged, or grows past the limit
 */
export async function gunzipBytes(
  bytes: Uint8Array,
  name: string,
  limit = gunzipLimit(bytes.length),
): Promise<Uint8Array> {
  if (bytes.length === 0) return bytes;
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    throw new UserError(
      `${name} is not gzip data (it does not start with the bytes 1f 8b); rename it if it is not compressed`,
    );
  }
  try {
    return plainView(await gunzipAsync(bytes, { maxOutputLength: limit }));
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') {
      throw new UserError(
        `${name} (${humanBytes(bytes.length)}) decompresses to more than ${humanBytes(limit)}; ` +
          'if that is meant, decompress it yourself and give the plain file',
      );
    }
    throw new UserError(`${name} is damaged or cut short (${reason(error)}); fetch or compress it again`);
  }
}

/** A Buffer as a plain Uint8Array on the same memory: Buffer.slice shares where Uint8Array.slice copies, a trap for readers. */
function plainView(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
