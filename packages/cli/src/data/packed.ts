/** @file Telling packed data from plain data: training on compressed bytes is rarely what was meant. */
import { UserError } from '../terminal/errors.ts';

interface Format {
  readonly what: string;
  /** The end of file names of this format; null: names do not tell. */
  readonly suffix: RegExp | null;
  /** Whether the first bytes are of this format; null: they do not tell. */
  readonly starts: ((bytes: Uint8Array) => boolean) | null;
  /** How to get at the contents. */
  readonly remedy: (name: string) => string;
}

const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0));
const startsWith =
  (magic: readonly number[], at = 0) =>
  (bytes: Uint8Array): boolean =>
    bytes.length >= at + magic.length && magic.every((byte, i) => bytes[at + i] === byte);

/** With a pipe for plain files; a .jsonl or .tar has to be a file, because standard input is one document. */
const unpackWith =
  (command: string, suffix: RegExp) =>
  (name: string): string =>
    /\.(jsonl|ndjson|tar)(\.\w+)?$|\.(txz|tbz2?)$/i.test(name)
      ? `unpack it (${command} -d ${name}) and give what comes out`
      : `pipe its contents in: ${command} -dc ${name} | blt ... -, or unpack it (${command} -d ${name}) and give ${name.replace(suffix, '') || 'that'}`;

const compressed = (what: string, command: string, suffix: RegExp, starts: Format['starts']): Format => ({
  what,
  suffix,
  starts,
  remedy: unpackWith(command, suffix),
});

const unpackFolder = (command: string) => (name: string) =>
  `unpack it into a folder (${command} ${name}) and give the folder`;
const writeText = (name: string) =>
  `write the column of texts to a .jsonl file, one {"text": "..."} a line, and give that instead of ${name}`;

const named =
  (what: string, ending: string) =>
  (name: string): string =>
    name === 'stdin'
      ? `write it to a ${ending} file, and give that`
      : `give it the name ${name}${ending}, and it is ${what}`;

const ZSTD = startsWith([0x28, 0xb5, 0x2f, 0xfd]);
const GZIP = startsWith([0x1f, 0x8b, 8]);
const TAR = startsWith(ascii('ustar'), 257);

const FORMATS: readonly Format[] = [
  compressed('xz data', 'xz', /\.(xz|txz|lzma)$/i, startsWith([0xfd, ...ascii('7zXZ'), 0])),
  compressed('bzip2 data', 'bzip2', /\.(bz2|tbz2?)$/i, (bytes) => {
    return startsWith(ascii('BZh'))(bytes) && startsWith([0x31, 0x41, 0x59, 0x26, 0x53, 0x59], 4)(bytes);
  }),
  compressed('LZ4 data', 'lz4', /\.lz4$/i, startsWith([0x04, 0x22, 0x4d, 0x18])),
  compressed('lzip data', 'lzip', /\.lz$/i, startsWith([...ascii('LZIP'), 1])),
  compressed('data of compress', 'gzip', /\.Z$/, null),
  {
    what: 'a zip archive',
    suffix: /\.zip$/i,
    starts: startsWith([...ascii('PK'), 3, 4]),
    remedy: unpackFolder('unzip'),
  },
  {
    what: 'a 7z archive',
    suffix: /\.7z$/i,
    starts: startsWith([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
    remedy: unpackFolder('7z x'),
  },
  {
    what: 'a rar archive',
    suffix: /\.rar$/i,
    starts: startsWith([...ascii('Rar!'), 0x1a, 7]),
    remedy: unpackFolder('unrar x'),
  },
  {
    what: 'an Arrow file',
    suffix: /\.(arrow|feather)$/i,
    starts: startsWith([...ascii('ARROW1'), 0, 0]),
    remedy: writeText,
  },
  {
    what: 'gzip data',
    suffix: null,
    starts: GZIP,
    remedy: (name) =>
      name === 'stdin' ? 'unpack it in the pipe (gzip -dc)' : `give it the name ${name}.gz, and it is unpacked`,
  },
  {
    what: 'zstd data',
    suffix: null,
    starts: ZSTD,
    remedy: (name) => (name === 'stdin' ? 'unpack it in the pipe (zstd -dc)' : named('unpacked', '.zst')(name)),
  },
  {
    what: 'a Parquet file',
    suffix: /\.parquet$/i,
    starts: (bytes) => startsWith(ascii('PAR1'))(bytes) && startsWith(ascii('PAR1'), bytes.length - 4)(bytes),
    remedy: named('read by rows', '.parquet'),
  },
  {
    what: 'a tar archive',
    suffix: null,
    starts: TAR,
    remedy: named('unpacked', '.tar'),
  },
];

/**
 * Refuses packed data, known by the first bytes or else by the name.
 * @param name of the file
 * @param first the bytes, or as many of the first as were read
 * @param of `isFound`: it was found in a folder, not named. `inner`: these are the contents of a .gz or .tar, which would be a file of
 *   this name
 * @throws UserError with the way to the contents
 */
export function refusePacked(name: string, first: Uint8Array, of: { isFound?: boolean; inner?: string } = {}): void {
  const isInside = of.inner !== undefined && of.inner !== name;
  const suffixed = of.inner ?? name;
  const format = FORMATS.find(({ starts }) => starts?.(first)) ?? FORMATS.find(({ suffix }) => suffix?.test(suffixed));
  if (!format) return;
  const remedy = isInside ? 'unpack it all yourself' : format.remedy(name);
  throw new UserError(
    `${name} ${isInside ? 'holds' : 'is'} ${format.what}, which is not unpacked here: ${remedy}; ${
      of.isFound ? 'or leave it out with a pattern; ' : ''
    }or add --raw to use its bytes as they are`,
  );
}

export const isGzipName = (name: string): boolean => /\.(gz|tgz)$/i.test(name);

export const isZstdName = (name: string): boolean => /\.(zst|zstd|tzst)$/i.test(name);

export const isCompressedName = (name: string): boolean => isGzipName(name) || isZstdName(name);

/** The name of what a compressed file holds: `a.txt.gz` -> `a.txt`, `a.tgz` -> `a.tar`. */
export const unpackedName = (name: string): string =>
  name.replace(/\.(gz|zst|zstd)$/i, '').replace(/\.(tgz|tzst)$/i, '.tar');

export const isParquetName = (name: string): boolean => /\.parquet$/i.test(name);

export const isTarName = (name: string): boolean => /\.tar$/i.test(name);

export const isJsonlName = (name: string): boolean => /\.(jsonl|ndjson)$/i.test(name);

/** The sentence about a file that is not empty and has no document in it. */
export function holdsNothing(name: string): string {
  const inner = unpackedName(name);
  if (isTarName(inner)) return `${name} holds no files to read (hidden names and node_modules are skipped)`;
  return isParquetName(inner) ? `${name} has no rows` : `${name} holds nothing but blank lines`;
}
