/**
 * @file zstd frame by frame. Node's own zstd drops whatever is behind a frame and is none, without a word. The package fzstd, for a Node that
 * has none, passes over checksums. So the ends of frames are found here.
 * @see RFC 8878, section 3.1
 */
import { Xxh64 } from './xxh64.ts';

const FRAME = 0xfd2fb528;
/** The lowest four bits of a frame to be skipped are free. */
const SKIPPED = 0x184d2a50;

/** Bytes that come in chunks, taken in the pieces that are wanted. */
class Source {
  private held: Uint8Array = new Uint8Array(0);
  private readonly chunks: AsyncIterator<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** Whether all has been taken. */
  async ended(): Promise<boolean> {
    while (this.held.length === 0) {
      const next = await this.chunks.next();
      if (next.done) return true;
      this.held = next.value;
    }
    return false;
  }

  /** The next bytes, in pieces as they come. @throws Error if there are fewer */
  async *pieces(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0; ) {
      if (await this.ended()) throw new Error('it ends in the middle of a frame');
      const piece = this.held.subarray(0, left);
      this.held = this.held.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  /** The same in one piece. */
  async exactly(count: number): Promise<Uint8Array> {
    const all: Uint8Array[] = [];
    for await (const piece of this.pieces(count)) all.push(piece);
    return new Uint8Array(Buffer.concat(all));
  }

  end(): Promise<unknown> | undefined {
    return this.chunks.return?.();
  }
}

const number32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** Bytes of a frame's header behind its descriptor. */
function headerBytes(descriptor: number): number {
  const isSingle = (descriptor >> 5) & 1;
  const sizeBytes = [isSingle, 2, 4, 8][descriptor >> 6];
  return 1 - isSingle + [0, 1, 2, 4][descriptor & 3] + sizeBytes;
}

/** The compressed bytes of a frame in pieces, from its magic number to its last block; then the checksum, empty if it has none. */
async function* framePieces(source: Source, magic: Uint8Array): AsyncGenerator<Uint8Array, Uint8Array> {
  const descriptor = await source.exactly(1);
  const header = await source.exactly(headerBytes(descriptor[0]));
  yield new Uint8Array(Buffer.concat([magic, descriptor, header]));
  for (let isLast = false; !isLast; ) {
    const block = await source.exactly(3);
    yield block;
    isLast = (block[0] & 1) === 1;
    const size = (block[0] >> 3) | (block[1] << 5) | (block[2] << 13);
    const isRun = ((block[0] >> 1) & 3) === 1;
    yield* source.pieces(isRun ? 1 : size);
  }
  return source.exactly(descriptor[0] & 4 ? 4 : 0);
}

type Frame = (source: Source, magic: Uint8Array) => AsyncGenerator<Uint8Array>;

/** Pieces of one frame after the other. @throws Error in a few words for what is no frame, or is cut short */
async function* ofFrames(chunks: AsyncIterable<Uint8Array>, frame: Frame): AsyncGenerator<Uint8Array> {
  const source = new Source(chunks);
  try {
    while (!(await source.ended())) {
      const magic = await source.exactly(4);
      const kind = number32(magic);
      if (kind === FRAME) yield* frame(source, magic);
      else if ((kind & ~15) === SKIPPED) for await (const _ of source.pieces(number32(await source.exactly(4))));
      else throw new Error('there is something else behind a frame');
    }
  } finally {
    await source.end();
  }
}

/** The compressed bytes of zstd data without what is to be skipped. @throws Error in a few words if there is anything else in them */
export const framesOnly = (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> =>
  ofFrames(chunks, async function* (source, magic) {
    const checksum = yield* framePieces(source, magic);
    if (checksum.length > 0) yield checksum;
  });

/**
 * The contents of zstd data, in pieces.
 * @param take receives every piece first, and may refuse it
 * @throws Error in a few words if it is damaged or cut short
 */
export const unzstdFrames = (
  chunks: AsyncIterable<Uint8Array>,
  take: (bytes: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> => ofFrames(chunks, (source, magic) => contentsOf(source, magic, take));

async function* contentsOf(
  source: Source,
  magic: Uint8Array,
  take: (bytes: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  const hash = new Xxh64();
  let made: Uint8Array[] = [];
  const stream = new Decompress((bytes) => {
    if (bytes.length === 0) return;
    hash.update(bytes);
    made.push(take(new Uint8Array(bytes)));
  });
  const pieces = framePieces(source, magic);
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) {
    stream.push(next.value);
    yield* made;
    made = [];
  }
  const checksum = next.value;
  stream.push(checksum, true);
  if (checksum.length > 0 && number32(checksum) !== Number(hash.digest() & 0xffffffffn)) {
    throw new Error('its checksum does not fit its contents');
  }
  yield* made;
}
