import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { expect, test } from 'vitest';
import { loadCorpus } from '../../../packages/cli/src/data/corpus.ts';
import { concatenated, type Document, lastBytes } from '../../../packages/cli/src/data/document.ts';
import { DataInMemory, type RunData } from '../../../packages/cli/src/data/run-data.ts';
import { SPLIT_CHOICES } from '../../../packages/cli/src/data/split.ts';
import { keptFiles, readKept } from '../../../packages/cli/src/stored/kept-data.ts';
import { openData, parseBytes } from '../../../packages/cli/src/stored/open-data.ts';
import { readAt } from '../../../packages/cli/src/stored/pieces.ts';
import { surveyData } from '../../../packages/cli/src/stored/stored-data.ts';
import type { SurveyProgress } from '../../../packages/cli/src/stored/survey.ts';
import { runs } from '../../support/runs.ts';
import { tar, tarEntry } from '../../support/tar-archive.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Lines of words, some of them of several bytes a letter. */
function prose(bytes: number, seed: number): string {
  let state = seed + 1;
  const words: string[] = [];
  for (let size = 0; size < bytes; ) {
    state = Math.imul(state, 0x9e3779b1) ^ (state >>> 15);
    const word = `${['鯨', 'whale', 'größe', 'x'][state & 3]}${(state >>> 4) % 1000}${(state >>> 2) % 9 ? ' ' : '\n'}`;
    words.push(word);
    size += Buffer.byteLength(word);
  }
  return words.join('');
}

const size = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 60_000, max: 200_000 }));

/** Sizes of files and of texts. */
interface Recipe {
  readonly plain: number[];
  readonly lines: number[];
  readonly seed: number;
}

/** The files of a corpus, of every kind that there is. */
function corpusOf({ plain, lines, seed }: Recipe): Record<string, string | Uint8Array> {
  const jsonl = lines.map(
    (bytes, i) => `${JSON.stringify({ text: prose(bytes % 3000, seed + i) })}\n${i % 3 ? '' : '\n'}`,
  );
  const rows = {
    name: 'text',
    data: lines.map((bytes, i) => prose(bytes % 500, seed + 2 * i)),
    type: 'STRING' as const,
  };
  return {
    ...Object.fromEntries(plain.map((bytes, i) => [`${i}.txt`, prose(bytes, seed + i)])),
    'a.jsonl': jsonl.join(''),
    'b.jsonl.gz': gzipSync(jsonl.join('')),
    'c.tar': tar(
      tarEntry('z.txt', prose(700, seed)),
      tarEntry('a.txt', prose(70_000, seed)),
      tarEntry('z.txt', 'last'),
    ),
    'd.txt.gz': Buffer.concat([gzipSync(prose(80_000, seed + 7)), gzipSync(prose(300, seed + 8))]),
    'e/empty.txt': '',
    ...(rows.data.length > 0
      ? { 'f.parquet': new Uint8Array(parquetWriteBuffer({ columnData: [rows], rowGroupSize: 7 })) }
      : {}),
  };
}

const corpora = fc.record({
  plain: fc.array(size, { maxLength: 3 }),
  lines: fc.array(size, { maxLength: 30 }),
  seed: fc.nat(1000),
});

const bytesOf = (documents: readonly Document[]) => documents.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));

const source = (folder: string, split: (typeof SPLIT_CHOICES)[number], seed: number) => ({
  data: [folder],
  heldOut: null,
  heldOutFraction: 0.1,
  split,
  seed,
  textField: null,
});

const onDisk = (of: Parameters<typeof surveyData>[0], onProgress: (progress: SurveyProgress) => void = () => {}) =>
  surveyData(of, { folder: temporaryFolder(), why: 'they are large', warn: () => {}, onProgress });

test('data on disk have the documents, the split and the samples of data in memory', async () => {
  await fc.assert(
    fc.asyncProperty(corpora, fc.constantFrom(...SPLIT_CHOICES), fc.nat(50), async (recipe, split, seed) => {
      const of = source(temporaryFolder(corpusOf(recipe)), split, seed);
      const refusal = (error: Error) => error.message;
      const memory: RunData | string = await loadCorpus(of, null).then((loaded) => new DataInMemory(loaded), refusal);
      const disk = await onDisk(of).catch(refusal);
      if (typeof memory === 'string' || typeof disk === 'string') {
        expect(disk).toBe(memory);
        return;
      }
      for (const key of ['mode', 'documents', 'trainBytes', 'heldOutBytes', 'heldOutDocuments'] as const) {
        expect(disk[key]).toBe(memory[key]);
      }
      for (const sample of [undefined, { trainBytes: 90_000, heldOutBytes: 1000 }]) {
        const [here, there] = [await memory.sampled(sample, seed, 5000), await disk.sampled(sample, seed, 5000)];
        expect(bytesOf(there.train)).toEqual(bytesOf(here.train));
        expect(bytesOf(there.heldOut)).toEqual(bytesOf(here.heldOut));
        expect(Buffer.compare(lastBytes(there.end, 5000), lastBytes(here.end, 5000))).toBe(0);
      }
      disk.close();
    }),
    { numRuns: runs(6) },
  );
});

test('what a run reads is kept, and is refused when it has changed', async () => {
  const folder = temporaryFolder({ 'data/a.txt': prose(3000, 1), 'data/b.txt': prose(2000, 2) });
  const disk = await onDisk(source(`${folder}/data`, 'tails', 0));
  const read = await disk.sampled(undefined, 0, 100);
  const kept = keptFiles(read);
  await kept.write(folder);
  expect(readKept(folder, kept.sha256)).toEqual(read);
  expect(() => readKept(folder, '0'.repeat(64))).toThrow(
    /corpus\.jsonl is not the file that this run wrote; restore it/,
  );
  const other = keptFiles({ ...read, end: [] });
  await other.write(folder);
  expect(() => readKept(folder, kept.sha256)).toThrow(/is not the file that this run wrote/);
  expect(() => readKept(temporaryFolder(), kept.sha256)).toThrow(/cannot read what .* trains on, corpus\.bin/);
  disk.close();
});

test('what a run reads may have more bytes than Node reads or hashes at once', () => {
  // Memory that is never written takes no room.
  const bytes = new Uint8Array(2 ** 31 + 8);
  const { sha256 } = keptFiles({ train: [{ name: 'large.txt', bytes }], heldOut: [], end: [] });
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  const descriptor = openSync(join(temporaryFolder({ 'a.txt': 'abc' }), 'a.txt'), 'r');
  try {
    expect(Buffer.from(readAt(descriptor, 0, bytes.length)).toString()).toBe('abc');
  } finally {
    closeSync(descriptor);
  }
});

test.each<[string, Uint8Array | string, RegExp]>([
  ['a.gz', gzipSync(prose(1000, 0)).subarray(0, 300), /a\.gz is damaged or cut short/],
  ['a.gz', Buffer.concat([gzipSync('whole'), Buffer.from('garbage')]), /a\.gz is damaged/],
  ['a.zst', 'no zstd', /a\.zst is not zstd data/],
  ['a.tar', tarEntry('a.txt', prose(5000, 0)).subarray(0, 3000), /a\.tar is damaged or no tar archive/],
  ['a.tar', gzipSync('x'), /packed twice/],
  ['a.tar', tar(tarEntry('b.txt.gz', 'x')), /a\.tar:b\.txt\.gz is packed .*unpack the archive/],
  ['a.jsonl', '{"text": "good"}\n{"text": 3}\n', /a\.jsonl line 2: field 'text' is a number/],
  ['a.txt', gzipSync('packed'), /a\.txt is gzip data.*give it the name/],
  ['a.parquet', 'PAR1', /a\.parquet is damaged or no Parquet file/],
])('a hostile file on disk is refused by its name: %s', async (name, contents, says) => {
  const folder = temporaryFolder({ [name]: contents });
  await expect(onDisk(source(`${folder}/${name}`, 'auto', 0))).rejects.toThrow(says);
});

test('text of the whole is the same however it is read', async () => {
  const text = prose(150_000, 3);
  const folder = temporaryFolder({ 'a.txt': text });
  const seen: number[] = [];
  const disk = await onDisk(source(`${folder}/a.txt`, 'end', 0), ({ documents }) => seen.push(documents));
  // A document counts from its first bytes on: one of 20 GB takes minutes to read.
  expect(seen[0]).toBe(1);
  const { train, heldOut } = await disk.sampled(undefined, 0, 100);
  expect(Buffer.from(concatenated([...train, ...heldOut])).toString()).toBe(text);
  disk.close();
});

test('copies are not looked for among data on disk: asking for that is refused with the reason', async () => {
  const folder = temporaryFolder({ 'a.txt': 'whales' });
  const of = { ...source(`${folder}/a.txt`, 'auto', 0), dedupe: true };
  await expect(onDisk(of)).rejects.toThrow(/--dedupe compares all data .* they are large; raise --max-memory/);
});

test('a source of its own weight is found on disk; the book is no reason to load what does not fit', async () => {
  const folder = temporaryFolder({ 'a.txt': prose(30_000, 1) });
  const one = await onDisk(source(`${folder}/a.txt=3`, 'auto', 0));
  expect(one.trainBytes + one.heldOutBytes).toBeGreaterThan(29_000);
  one.close();
  const options = { maxMemory: 100_000, folder: temporaryFolder(), warn: () => {}, onProgress: () => {} };
  for (const data of [
    [`${folder}/a.txt`, '@moby-dick'],
    [`${folder}/a.txt`, '@moby-dick=1'],
  ]) {
    await expect(openData({ ...source('', 'auto', 0), data }, options)).rejects.toThrow(/give --max-memory/);
  }
});

test('a source that is not there is refused before any other is read, because --max-memory would say nothing', async () => {
  const folder = temporaryFolder({ 'packed.zip': 'PK\x03\x04 and more', 'a.txt': 'whales' });
  const options = { maxMemory: 10, folder: temporaryFolder(), warn: () => {}, onProgress: () => {} };
  const data = [`${folder}/packed.zip`, `${folder}/a.txz`];
  await expect(openData({ ...source('', 'auto', 0), data }, options)).rejects.toThrow(/cannot find .*a\.txz/);
});

test('a file without documents is said on disk as in memory, among others and alone', async () => {
  const folder = temporaryFolder({
    'a.txt': prose(3000, 1),
    'b.tar': tar(tarEntry('.hidden', 'x')),
    'c.jsonl': '\n\n',
  });
  const warnings: string[] = [];
  const options = { folder: temporaryFolder(), why: 'they are large', onProgress: () => {} };
  const warn = (message: string) => void warnings.push(message.replaceAll(`${folder}/`, ''));
  (await surveyData(source(folder, 'auto', 0), { ...options, warn })).close();
  expect(warnings).toEqual([
    'b.tar holds no files to read (hidden names and node_modules are skipped); skipped',
    'c.jsonl holds nothing but blank lines; skipped',
  ]);
  const alone = source(`${folder}/c.jsonl`, 'auto', 0);
  const refusal = (error: Error) => error.message;
  const said = await onDisk(alone).catch(refusal);
  expect(said).toBe(`${folder}/c.jsonl holds nothing but blank lines; give data with texts in them`);
  expect(await loadCorpus(alone, null).catch(refusal)).toBe(said);
});

test('sizes of memory are read', () => {
  const sizes = { '800': 800, '1kB': 1000, '1.5GB': 1.5e9, '2GiB': 2 ** 31, '3 m': 3e6 };
  for (const [text, bytes] of Object.entries(sizes)) expect(parseBytes(text, '--max-memory')).toBe(bytes);
  expect(() => parseBytes('lots', '--max-memory')).toThrow(/--max-memory is a number of bytes such as 800MB/);
});
