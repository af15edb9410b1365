/**
 * @file The file that compression makes. Numbers are little-endian groups of seven bits, the eighth set on all but the last.
 *
 * | bytes | what |
 * |---|---|
 * | 4 | "BLTZ" |
 * | 1 | version |
 * | 4 | the beginning of the SHA-256 of the rest of the header |
 * | 8 | fingerprint of the model |
 * | 4 | fingerprint of its arithmetic |
 * | 8 | the beginning of the SHA-256 of the contents |
 * | 8 | fingerprint of the memory, in version 5 only |
 * | numbers | bytes of the contents, streams, blocks of each stream, blocks of a stream side by side, bytes of context, bytes of the model inside (0: none) |
 * | numbers | coded bytes of each stream |
 * | | the model inside |
 * | to the end | the streams |
 */
import { ArchiveError } from '../errors.ts';
import { ARITHMETIC_BYTES, FINGERPRINT_BYTES, joined, sha256 } from './coding-model.ts';

const MAGIC = [0x42, 0x4c, 0x54, 0x5a];
/** Of archives without a memory beside the model, and with one. */
const [VERSION, VERSION_WITH_MEMORY] = [4, 5];
export const CHECKSUM_BYTES = 8;
const HEADER_CHECK_BYTES = 4;
const HEADER_AT = MAGIC.length + 1 + HEADER_CHECK_BYTES;
/** Most blocks side by side: a decoder keeps keys and values of all. */
export const MOST_PLACES = 1024;
/**
 * No coded byte stands for more bytes. The likeliest costs log2(1 + 255 / 2^20) bits at least (byte-shares.ts), so 22,803 of them take 8.
 * With a memory it is eight decisions of log2(1 / (1 - 2^-16)) bits (memory/logistic.ts), and 45,426.
 */
const MOST_BYTES_OF_ONE = 2 ** 16;

/** Everything that an archive says before the coded contents. */
export interface ArchiveHeader {
  readonly fingerprint: Uint8Array;
  readonly arithmetic: Uint8Array;
  readonly checksum: Uint8Array;
  /** Fingerprint of the memory that predicted beside the model, see `codingMemory`; empty if there was none. */
  readonly memory: Uint8Array;
  /** Bytes of the contents. */
  readonly size: number;
  /** Parts of the contents that are coded on their own. */
  readonly streams: number;
  /** Blocks of each stream. */
  readonly blocks: number;
  /** Most blocks of a stream that are coded side by side. */
  readonly places: number;
  readonly contextBytes: number;
}

/** An archive taken apart. */
export interface Archive {
  readonly header: ArchiveHeader;
  /** The model inside (see `packModel`), empty if there is none. */
  readonly model: Uint8Array;
  /** The coded bytes of each stream. */
  readonly coded: readonly Uint8Array[];
}

function number(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

/** The bytes of an archive. */
export async function writeArchive({ header: h, model, coded }: Archive): Promise<Uint8Array<ArrayBuffer>> {
  const lengths = coded.map(({ length }) => length);
  const numbers = [h.size, h.streams, h.blocks, h.places, h.contextBytes, model.length, ...lengths].flatMap(number);
  const rest = Uint8Array.from([...h.fingerprint, ...h.arithmetic, ...h.checksum, ...h.memory, ...numbers]);
  const check = (await sha256([rest])).subarray(0, HEADER_CHECK_BYTES);
  const version = h.memory.length > 0 ? VERSION_WITH_MEMORY : VERSION;
  const start = Uint8Array.from([...MAGIC, version, ...check, ...rest]);
  return joined([start, model, ...coded]);
}

/** Takes the parts of an archive one after the other. */
class Reader {
  at = HEADER_AT;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw new ArchiveError('the archive is cut off');
    return this.bytes.subarray(this.at, (this.at += count));
  }

  number(): number {
    let value = 0;
    for (let unit = 1; unit < 2 ** 53; unit *= 128) {
      const [byte] = this.take(1);
      value += (byte % 128) * unit;
      if (byte < 128) return value;
    }
    throw new ArchiveError('the header of the archive is damaged');
  }
}

/** @throws ArchiveError in one sentence for anything that is no whole archive; damage to the coded contents shows later */
export async function readArchive(bytes: Uint8Array): Promise<Archive> {
  const { archive, size } = await firstArchive(bytes);
  if (size < bytes.length) throw moreBytes(bytes.length - size);
  return archive;
}

/**
 * The archives of a file: one, or several that were laid end to end. Their contents belong together in the same order.
 * @throws ArchiveError as `readArchive` does
 */
export async function readArchives(bytes: Uint8Array): Promise<Archive[]> {
  const all: Archive[] = [];
  let at = 0;
  do {
    const rest = bytes.subarray(at);
    if (at > 0 && !beginsLikeOne(rest)) throw moreBytes(rest.length);
    const { archive, size } = await firstArchive(rest);
    all.push(archive);
    at += size;
  } while (at < bytes.length);
  return all;
}

const beginsLikeOne = (bytes: Uint8Array): boolean => MAGIC.every((byte, i) => bytes[i] === byte);

const moreBytes = (count: number): ArchiveError =>
  new ArchiveError(`the archive is damaged: ${count} more bytes than it should have`);

/** The archive that some bytes begin with, and its own bytes. */
async function firstArchive(bytes: Uint8Array): Promise<{ archive: Archive; size: number }> {
  if (!beginsLikeOne(bytes)) {
    throw new ArchiveError(bytes.length === 0 ? 'it is empty' : 'it is no archive: it does not begin with BLTZ');
  }
  const version = bytes[MAGIC.length];
  if (version !== undefined && version !== VERSION && version !== VERSION_WITH_MEMORY) {
    throw new ArchiveError(
      `the archive has version ${version}, this program reads ${VERSION} and ${VERSION_WITH_MEMORY}; take the one that wrote it`,
    );
  }
  const reader = new Reader(bytes);
  const [fingerprint, arithmetic, checksum] = [FINGERPRINT_BYTES, ARITHMETIC_BYTES, CHECKSUM_BYTES].map((n) => reader.take(n)); // biome-ignore format: one line
  const memory = reader.take(version === VERSION_WITH_MEMORY ? FINGERPRINT_BYTES : 0);
  const [size, streams, blocks, places, contextBytes, modelBytes] = [0, 0, 0, 0, 0, 0].map(() => reader.number());
  // What a damaged number promises is not waited for: more streams than bytes cannot be.
  const lengths = Array.from({ length: Math.min(streams, bytes.length) }, () => reader.number());
  const check = await sha256([bytes.subarray(HEADER_AT, reader.at)]);
  const written = bytes.subarray(MAGIC.length + 1, HEADER_AT);
  const codedBytes = lengths.reduce((sum, length) => sum + length, 0);
  const sensible =
    streams * blocks <= size &&
    (streams * blocks > 0 || (size === 0 && streams === 0)) &&
    size <= MOST_BYTES_OF_ONE * (codedBytes + streams) &&
    places > 0 &&
    places <= MOST_PLACES &&
    contextBytes >= 2;
  if (!sensible || written.some((byte, i) => byte !== check[i])) {
    throw new ArchiveError('the header of the archive is damaged');
  }
  const model = reader.take(modelBytes);
  const coded = lengths.map((length) => reader.take(length));
  const header = { fingerprint, arithmetic, checksum, memory, size, streams, blocks, places, contextBytes };
  return { archive: { header, model, coded }, size: reader.at };
}
