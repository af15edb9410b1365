import { Readable } from 'node:stream';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, test } from 'vitest';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import { unzstd } from '../../../packages/cli/src/data/zstd.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** `zstd -19` of TEXT, made by version 1.5.4 of the command. */
const ZSTD = Buffer.from('KLUv/SQmMQEAVGhlIHdoYWxlLCB0aGUgd2hhbGUhClRoYXIgc2hlIGJsb3dzLgoYdpMg', 'base64');
const TEXT = 'The whale, the whale!\nThar she blows.\n';

const load = async (name: string, contents: Uint8Array, options = {}) => {
  const documents = await loadDocuments([`${temporaryFolder({ [name]: contents })}/${name}`], options);
  return documents.map(({ bytes }) => new TextDecoder().decode(bytes));
};

describe('zstd', () => {
  test('is decompressed, several frames too, and holds lines of JSON as well', async () => {
    expect(await load('a.txt.zst', ZSTD)).toEqual([TEXT]);
    expect(await load('a.zst', Buffer.concat([ZSTD, ZSTD]))).toEqual([TEXT + TEXT]);
  });

  /** A frame of one block that is stored as it is, with a checksum. */
  const stored = (text: string, checksum: number): Buffer => {
    const head = [0x28, 0xb5, 0x2f, 0xfd, 0x24, text.length, (text.length << 3) | 1, text.length >> 5, 0];
    const end = Buffer.alloc(4);
    end.writeUInt32LE(checksum);
    return Buffer.concat([Buffer.from(head), Buffer.from(text), end]);
  };
  /** The lower half of XXH64 of `abc`. */
  const ABC = 0xad770999;

  test('has frames without checksums, empty ones, and ones to be skipped', async () => {
    const skipped = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const empty = Buffer.from('KLUv/SQAAQAAmenYUQ==', 'base64');
    const unchecked = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, (3 << 3) | 1, 0, 0, ...Buffer.from('xyz')]);
    const all = Buffer.concat([stored('abc', ABC), skipped, empty, unchecked, skipped]);
    expect(await load('a.zst', all)).toEqual(['abcxyz']);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['cut.zst', ZSTD.subarray(0, 40), /cut\.zst is damaged or cut short/],
    // Its blocks can be decompressed, and the checksum alone tells.
    ['bits.zst', stored('abd', ABC), /bits\.zst is damaged or cut short/],
    ['sum.zst', Buffer.concat([ZSTD.subarray(0, -1), Buffer.of(0)]), /sum\.zst is damaged or cut short/],
    ['second.zst', Buffer.concat([ZSTD, stored('abc', ABC + 1)]), /second\.zst is damaged or cut short/],
    ['more.zst', Buffer.concat([ZSTD, Buffer.from('more')]), /more\.zst is damaged or cut short/],
    ['plain.zst', Buffer.from(TEXT), /plain\.zst is not zstd data/],
    // The descriptor of the frame has a window of 2^41 bytes.
    ['window.zst', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 0, 0]), /window\.zst looks back 2\.20 TB/],
    ['a.zst.zst', ZSTD, /compressed twice/],
  ])('%s is refused by its name', async (name, contents, says) => {
    await expect(load(name, contents)).rejects.toThrow(says);
  });

  test('does not grow past its limit', async () => {
    await expect(load('a.zst', ZSTD, { maxGunzipBytes: 30 })).rejects.toThrow(/a\.zst decompresses to more than 30 B/);
  });

  test('comes in pieces that may be cut anywhere', async () => {
    const parts: Uint8Array[] = [];
    const chunks = Readable.from(Array.from(ZSTD, (_, i) => ZSTD.subarray(i, i + 1)).slice(4));
    async function* first(): AsyncGenerator<Uint8Array> {
      yield ZSTD.subarray(0, 4);
      yield* chunks;
    }
    for await (const part of unzstd(first(), 'a.zst', 1000)) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe(TEXT);
  });
});

describe('Parquet', () => {
  const file = (column: string, data: (string | null)[]): Uint8Array =>
    new Uint8Array(parquetWriteBuffer({ columnData: [{ name: column, data, type: 'STRING' }], rowGroupSize: 2 }));

  test('gives a document for every row that has a text', async () => {
    expect(await load('a.parquet', file('text', ['eins', 'zwei', null, 'drei', 'größer']))).toEqual([
      'eins',
      'zwei',
      'drei',
      'größer',
    ]);
    expect(await load('a.parquet', file('prose', ['one', 'two']), { textField: 'prose' })).toEqual(['one', 'two']);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'a.parquet',
      file('prose', ['x', 'y']),
      /none of the columns text, content, body \(its columns: prose\).*--text-field/,
    ],
    ['b.parquet', Buffer.from('PAR1 nothing of the kind PAR1'), /b\.parquet is damaged or no Parquet file/],
    ['c.parquet', file('text', ['whale'.repeat(100)]).subarray(0, 200), /c\.parquet is damaged or no Parquet file/],
  ])('%s is refused by its name', async (name, contents, says) => {
    await expect(load(name, contents)).rejects.toThrow(says);
  });

  test('has its text in a column of its own, and not in a record of the same name', async () => {
    const nested = new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'messages', data: [[{ content: 'inside', text: 'inside' }]] },
          { name: 'content', data: ['outside'] },
        ],
        schema: [
          { name: 'root', num_children: 2 },
          { name: 'messages', num_children: 1, repetition_type: 'OPTIONAL', converted_type: 'LIST' },
          { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
          { name: 'element', num_children: 2, repetition_type: 'OPTIONAL' },
          { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
          { name: 'text', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
          { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
        ],
      }),
    );
    expect(await load('chats.parquet', nested)).toEqual(['outside']);
    await expect(load('chats.parquet', nested, { textField: 'text' })).rejects.toThrow(
      /no column 'text' \(its columns: content\)/,
    );
  });

  test('does not grow past its limit, by a dictionary either', async () => {
    const many = file('text', Array(1000).fill('whale'.repeat(100)));
    expect(many.length).toBeLessThan(100_000);
    await expect(load('a.parquet', many, { maxGunzipBytes: 100_000 })).rejects.toThrow(
      /a\.parquet holds more than 100 kB of texts/,
    );
  });

  test('gives the bytes that are stored, of which a decoder would lose those that are no UTF-8', async () => {
    const stored = [Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0a), Uint8Array.of(0xef, 0xbb, 0xbf, 0xff, 0x00, 0x80)];
    const column = { name: 'text', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' } as const;
    for (const kind of [{}, { converted_type: 'UTF8' } as const]) {
      // Twice, so that they are found by way of a dictionary too.
      for (const data of [stored, [...stored, ...stored, ...stored, ...stored]]) {
        const schema = [
          { name: 'root', num_children: 1 },
          { ...column, ...kind },
        ];
        const bytes = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data }], schema }));
        const documents = await loadDocuments([`${temporaryFolder({ 'a.parquet': bytes })}/a.parquet`]);
        expect(documents.map((document) => document.bytes)).toEqual(data);
      }
    }
  });

  test('with numbers for texts is refused', async () => {
    const columnData = [{ name: 'text', data: [1, 2], type: 'INT32' as const }];
    const numbers = new Uint8Array(parquetWriteBuffer({ columnData }));
    await expect(load('a.parquet', numbers)).rejects.toThrow(/row 1: column 'text' is a number, not a text/);
  });
});
