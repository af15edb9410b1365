/** @file Reads files and streams into memory, within bounds. */
import { constants as bufferLimits } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { isatty } from 'node:tty';
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { type FilePath, pathName } from './file-path.ts';

const MIB = 1024 ** 2;

/** Memory of the machine, or of the container that this process is in. */
export function memoryBytes(): number {
  const container = process.constrainedMemory?.() ?? 0;
  return container > 0 ? Math.min(totalmem(), container) : totalmem();
}

/** Most bytes that are taken from what has no size to be known before: a pipe, a terminal, standard input. */
export const maxStreamBytes = (): number => Math.min(bufferLimits.MAX_LENGTH, Math.floor(memoryBytes() / 4));

/** Contents of a file. */
export interface Reading {
  readonly bytes: Uint8Array;
  /** Bytes of the whole; null where reading stopped before the end of what has no size. */
  readonly size: number | null;
  /** The plain file that was read, as it was when it was opened; absent for a stream. */
  readonly file?: Stats;
}

export interface ReadOptions {
  /** Bytes that are enough; the rest is not read. Default: all. */
  readonly most?: number;
  /** The path was that of a plain file: if it is another thing by now, fail with code ENXIO. */
  readonly onlyFiles?: boolean;
  /** See {@link maxStreamBytes}. */
  readonly maxStreamBytes?: number;
}

/**
 * The bytes of a file or pipe (`/dev/fd/63` of a shell's `<(...)`). A file that grows while it is read has the bytes that it had at
 * the start.
 * @throws UserError for what is too large, never ends, or is no file; the system's error for what cannot be read
 */
export async function readBytes(path: FilePath, options: ReadOptions = {}): Promise<Reading> {
  if (options.onlyFiles || (await stat(path)).isFile()) return readFileBytes(path, options.most);
  const handle = await open(path, 'r');
  try {
    refuseEndless(await handle.stat(), handle, path, options);
    return await fromStream(chunksOf(handle), pathName(path), options);
  } finally {
    await handle.close();
  }
}

/** Synchronous calls, because a folder may have a hundred thousand small files and the asynchronous ones take five times as long. */
function readFileBytes(path: FilePath, most = Number.POSITIVE_INFINITY): Reading {
  // Without waiting for the other end, should a pipe have come into the place of the file.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const info = fstatSync(descriptor);
    // With a system's code, so that it can be passed over like a file that is gone.
    if (!info.isFile()) throw Object.assign(new Error('it is no longer a plain file'), { code: 'ENXIO' });
    // Files of /proc say size 0 and have some bytes all the same.
    let bytes = allocated(Math.min(info.size || 4096, most), path, info.size);
    let filled = 0;
    for (;;) {
      // Not readFile: it refuses files over 2 GiB.
      const got = readSync(descriptor, bytes, filled, Math.min(bytes.length - filled, 64 * MIB), null);
      filled += got;
      if (got === 0 || (filled === bytes.length && (info.size > 0 || filled === most))) break;
      if (filled === bytes.length) {
        const larger = allocated(Math.min(2 * filled, most), path, filled);
        larger.set(bytes);
        bytes = larger;
      }
    }
    const isCut = filled === most && (info.size === 0 || info.size > most);
    return {
      bytes: filled === bytes.length ? bytes : bytes.slice(0, filled),
      size: isCut ? info.size || null : filled,
      file: info,
    };
  } finally {
    closeSync(descriptor);
  }
}

function allocated(bytes: number, path: FilePath, size: number): Uint8Array {
  const limit = Math.min(bufferLimits.MAX_LENGTH, memoryBytes());
  if (bytes <= limit) return new Uint8Array(bytes);
  throw new UserError(
    `${pathName(path)} has ${humanBytes(size)}; one file can have at most ${humanBytes(limit)} here; split it`,
  );
}

/** A device such as /dev/zero has no end; a terminal does (Ctrl-D), and so does whatever only the first bytes are wanted of. */
function refuseEndless(info: Stats, handle: FileHandle, path: FilePath, options: ReadOptions): void {
  const name = pathName(path);
  const isDevice = info.isBlockDevice() || (info.isCharacterDevice() && !isatty(handle.fd));
  if (isDevice && options.most === undefined) {
    throw new UserError(
      `${name} is a device, which may never end; pipe a part of it: head -c 1000000 ${name} | blt ... -`,
    );
  }
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = new Uint8Array(64 * 1024);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
  }
}

/**
 * The bytes of a stream, to its end or to the bytes that are enough.
 * @throws UserError if it has more than `maxStreamBytes`
 */
export async function fromStream(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
  options: ReadOptions = {},
): Promise<Reading> {
  const most = options.most ?? Number.POSITIVE_INFINITY;
  const limit = options.maxStreamBytes ?? maxStreamBytes();
  const chunks: Uint8Array[] = [];
  let total = 0;
  // One byte more than is wanted, to know whether that was all.
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    chunks.push(bytes);
    total += bytes.length;
    if (total > most) break;
    if (total > limit) {
      throw new UserError(
        `${name} goes on after ${humanBytes(limit)}, the most that is read of a stream on this machine; give a part of it (head -c), or write it to files`,
      );
    }
  }
  const all = plainView(Buffer.concat(chunks, total));
  return total > most ? { bytes: all.slice(0, most), size: null } : { bytes: all, size: total };
}

/** A Buffer as a plain Uint8Array on the same memory: Buffer.slice shares where Uint8Array.slice copies, a trap for readers. */
export function plainView(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
