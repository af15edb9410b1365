/** @file Bits per byte of general compressors on the held-out text, for comparison. */
import { Readable, type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import { concatenated, type Document } from '../data/document.ts';
import { UserError } from '../terminal/errors.ts';

/** Bits per byte of a well-known compressor on the held-out bytes: the figure that a model has to beat. */
export interface CompressorFigure {
  /** `gzip -9`, `brotli -11`, ... */
  name: string;
  bitsPerByte: number;
  /** Whether it had read the training part first, as the model has. */
  seenTraining: boolean;
}

/** How much time the compressors get. */
export interface CompressorOptions {
  /** Brotli quality 0..11. 11 takes about 3 seconds a megabyte, 9 a tenth of that. Default: 11, or 9 where that takes too long. */
  brotliQuality?: number;
  /** About how long it may take. The compressors then read less of the training part. Default 60. */
  seconds?: number;
  /** Ends the work, within about a second: the promise is then rejected. */
  signal?: AbortSignal;
}

/** Bytes of the end of the training part that a compressor gets to read. More than its window changes next to nothing. */
const GZIP_CONTEXT = 4 * 2 ** 20;
const BROTLI_WINDOW_BITS = 24;
/** More of the training part is not read. */
export const MOST_CONTEXT_BYTES = 2 ** BROTLI_WINDOW_BITS;
/** Seconds that brotli takes for a megabyte, measured on one core of 2024. */
const BROTLI_SECONDS = { 11: 3, 9: 0.3 } as const;

/** Seconds that compressors get where nothing else is said. */
const SECONDS = 60;

/** Bytes of context with which brotli is done in time. It reads them twice: with the held-out bytes, and without. */
const affordable = (quality: 9 | 11, seconds: number, heldOut: number): number =>
  Math.floor(((seconds / BROTLI_SECONDS[quality]) * 1e6 - heldOut) / 2);

/** The best quality that is done with so much context in time. */
const qualityIn = (seconds: number, context: number, heldOut: number): 9 | 11 =>
  affordable(11, seconds, heldOut) >= context ? 11 : 9;

/** Memory that compressors take: brotli's, which keeps more for each byte at quality 11. Measured in docs/large-corpora.md. */
const MEMORY = { fixed: 2e6, firstMegabyte: 55, more: { 11: 30, 9: 8.5 } } as const;

/** Bytes of memory that `compressorFigures` takes, about. @param trainBytes of the training part @param heldOut bytes of the held-out one */
export function compressorBytes(trainBytes: number, heldOut: number): number {
  if (heldOut === 0) return 0;
  const context = Math.min(trainBytes, MOST_CONTEXT_BYTES);
  const { fixed, firstMegabyte, more } = MEMORY;
  const first = Math.min(1e6, context);
  const quality = qualityIn(SECONDS, context, heldOut);
  return fixed + firstMegabyte * first + more[quality] * (context - first);
}

type Compressor = (...parts: Uint8Array[]) => Promise<number>;

/** Bytes that a compressor is given at once. What it is at cannot be stopped, so that a stop waits for this much at most. */
const CHUNK = 2 ** 16;

/** Bytes that come out of a compressor of parts end to end. */
async function sizeThrough(compressor: Transform, parts: readonly Uint8Array[], signal?: AbortSignal): Promise<number> {
  let size = 0;
  const count = new Writable({
    write(chunk: Uint8Array, _, done) {
      size += chunk.length;
      done();
    },
  });
  await pipeline(Readable.from(chunks(parts), { objectMode: false }), compressor, count, { signal });
  return size;
}

function* chunks(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
  }
}

const gzipSize =
  (signal?: AbortSignal): Compressor =>
  (...parts) =>
    sizeThrough(createGzip({ level: 9 }), parts, signal);

const brotliSize =
  (quality: number, signal?: AbortSignal): Compressor =>
  (...parts) => {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: parts.reduce((sum, { length }) => sum + length, 0),
    };
    return sizeThrough(createBrotliCompress({ params }), parts, signal);
  };

/**
 * 8 * (size(context + heldOut) - size(context)) / heldOut bytes: the cost of the held-out bytes to one who has read the context. One after the
 * other, because each takes its memory.
 */
async function costAfter(context: Uint8Array, heldOut: Uint8Array, size: Compressor): Promise<number> {
  const whole = await size(context, heldOut);
  return (8 * (whole - (await size(context)))) / heldOut.length;
}

/** The held-out bytes that compressors are measured on. None of a chat: they know no answers, so they would be measured on other bytes than the model. */
export const comparedBytes = (heldOut: readonly Document[]): Uint8Array =>
  heldOut.some(({ answers }) => answers) ? new Uint8Array(0) : concatenated(heldOut);

/**
 * Bits per byte of the held-out bytes under gzip -9 and brotli, each having read the training part before, and under gzip -9 that
 * has not; without a training part, under both as they are. Runs on Node's thread pool: training can go on meanwhile. Best first. No held-out bytes give no figures.
 *
 * gzip looks back 32 KiB only, so reading the training part helps it little; brotli's window of 16 MiB holds a whole book.
 * @throws UserError if the quality is not an integer in 0..11
 */
export async function compressorFigures(
  train: Uint8Array,
  heldOut: Uint8Array,
  options: CompressorOptions = {},
): Promise<CompressorFigure[]> {
  const seconds = options.seconds ?? SECONDS;
  const wanted = Math.min(train.length, 2 ** BROTLI_WINDOW_BITS);
  const inTime = qualityIn(seconds, wanted, heldOut.length) === 11;
  const quality = options.brotliQuality ?? (inTime ? 11 : 9);
  if (!Number.isInteger(quality) || quality < 0 || quality > 11) {
    throw new UserError(`brotli quality is ${quality}; it must be a whole number from 0 to 11`, 2);
  }
  if (heldOut.length === 0) return [];
  const [gz, br] = [gzipSize(options.signal), brotliSize(quality, options.signal)];
  const found = (name: string, bitsPerByte: number, seenTraining: boolean): CompressorFigure => ({
    name,
    bitsPerByte,
    seenTraining,
  });
  const sorted = (all: CompressorFigure[]) => all.sort((a, b) => a.bitsPerByte - b.bitsPerByte);
  if (train.length === 0) {
    const [gzipped, brotlied] = await Promise.all([gz(heldOut), br(heldOut)]);
    const bits = (size: number) => (8 * size) / heldOut.length;
    return sorted([found('gzip -9', bits(gzipped), false), found(`brotli -${quality}`, bits(brotlied), false)]);
  }
  const tail = (bytes: number): Uint8Array => train.subarray(Math.max(0, train.length - bytes));
  const context =
    options.brotliQuality === undefined && !inTime
      ? Math.max(2 ** 16, Math.min(wanted, affordable(9, seconds, heldOut.length)))
      : wanted;
  const alone = await gz(heldOut);
  const gzipSeen = await costAfter(tail(GZIP_CONTEXT), heldOut, gz);
  const brotliSeen = await costAfter(tail(context), heldOut, br);
  return sorted([
    found('gzip -9', gzipSeen, true),
    found(`brotli -${quality}`, brotliSeen, true),
    found('gzip -9 alone', (8 * alone) / heldOut.length, false),
  ]);
}
