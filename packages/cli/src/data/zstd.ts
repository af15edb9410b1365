/** @file Decompressing zstd within bounds: by Node's own library where it has one, else by fzstd. */
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { reason, UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { framesOnly, unzstdFrames } from './zstd-frames.ts';

/** zstd refuses to look back further than this unless it is told to. So does this reader. */
const MOST_WINDOW_BYTES = 2 ** 27;

/** Of Node 22.15 on. */
const native = (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress;

const isZstd = ([a, b, c, d]: Uint8Array): boolean => a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd;

/**
 * Bytes that the first frame looks back, by its header.
 * @see RFC 8878, section 3.1.1.1
 */
function windowBytes(head: Uint8Array): number {
  const descriptor = head[4] ?? 0;
  if ((descriptor & 0x20) === 0) {
    const exponent = 10 + ((head[5] ?? 0) >> 3);
    return 2 ** exponent * (1 + ((head[5] ?? 0) & 7) / 8);
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const at = 5 + [0, 1, 2, 4][descriptor & 3];
  const sizes = [() => head[at], () => 256 + view.getUint16(at, true), () => view.getUint32(at, true)];
  const size = sizes[descriptor >> 6] ?? (() => Number(view.getBigUint64(at, true)));
  return head.length < at + 8 ? 0 : size();
}

/**
 * The contents of zstd data, piece by piece.
 * @param limit most bytes to accept
 * @throws UserError if it is no zstd, is damaged, or grows past the limit
 */
export async function* unzstd(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let grown = 0;
  const within = (bytes: Uint8Array): Uint8Array => {
    grown += bytes.length;
    if (grown <= limit) return bytes;
    throw new UserError(
      `${name} decompresses to more than ${humanBytes(limit)}; if that is meant, decompress it yourself and give the plain file`,
    );
  };
  try {
    const head = checkedHead(chunks, name);
    yield* native ? byNode(framesOnly(head), native(), within) : unzstdFrames(head, within);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${name} is damaged or cut short (${reason(error)}); fetch or compress it again`);
  }
}

async function* checkedHead(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst && !isZstd(chunk)) {
      throw new UserError(
        `${name} is not zstd data (it does not start with the bytes 28 b5 2f fd); rename it if it is not compressed`,
      );
    }
    if (isFirst && windowBytes(chunk) > MOST_WINDOW_BYTES) {
      throw new UserError(
        `${name} looks back ${humanBytes(windowBytes(chunk))}, more than the ${humanBytes(MOST_WINDOW_BYTES)} that zstd reads by itself; decompress it yourself (zstd -d --long=31)`,
      );
    }
    isFirst = false;
    yield chunk;
  }
}

async function* byNode(
  chunks: AsyncIterable<Uint8Array>,
  stream: Transform,
  within: (bytes: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks);
  source.on('error', (error) => stream.destroy(error));
  try {
    for await (const part of source.pipe(stream)) yield within(part);
  } finally {
    source.destroy();
  }
}

/** The whole contents of zstd data. @throws UserError as {@link unzstd} */
export async function unzstdBytes(bytes: Uint8Array, name: string, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  async function* all(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  for await (const part of unzstd(all(), name, limit)) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}
