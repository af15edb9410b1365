// Writes a large corpus of mixed files, to try training on data larger than memory: node scripts/large-corpus.mjs DIR [--gb 20]
// Of 20 parts of text 10 are five large plain files, 2 many files of 100 kB, 4 lines of JSON, and one each is in .gz, .zst, .tar and
// .parquet. The text is made of words drawn at random, so it is worth nothing but its size. Delete the folder afterwards.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as zlib from 'node:zlib';
import { parquetWriteFile } from 'hyparquet-writer/src/node.js';
import { TAR_END, tarEntry } from './tar-archive.mjs';

const {
  values,
  positionals: [folder],
} = parseArgs({ options: { gb: { type: 'string', default: '20' } }, allowPositionals: true });
if (!folder) throw new Error('name a folder: node scripts/large-corpus.mjs DIR');
const PART = Math.round((Number(values.gb) * 1e9) / 20);

let state = 1;
/** Numbers below n, the same in every run. @see Marsaglia, Xorshift RNGs */
function random(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}

const words = Array.from({ length: 20_000 }, () =>
  Array.from({ length: 2 + random(8) }, () => String.fromCharCode(97 + random(26))).join(''),
);

/** A stock of text. Parts of it begin anywhere, so that few are alike. */
const STOCK = 64e6;
const stock = Buffer.alloc(STOCK);
for (let at = 0; at < STOCK; ) at += stock.write(`${words[random(random(20_000) + 1)]}${random(12) ? ' ' : '.\n'}`, at);

/** Text of so many bytes: pieces of the stock. */
function text(bytes) {
  const out = Buffer.allocUnsafe(bytes);
  for (let at = 0; at < bytes; ) {
    const size = Math.min(bytes - at, 20_000 + random(80_000));
    stock.copy(out, at, random(STOCK - size), STOCK);
    at += size;
  }
  return out;
}

/** Writes a file in chunks of a megabyte. @param make the bytes of a chunk of so much text */
function write(name, bytes, make = (chunk) => chunk) {
  const file = openSync(join(folder, name), 'w');
  for (let left = bytes; left > 0; left -= 1e6) writeSync(file, make(text(Math.min(1e6, left))));
  closeSync(file);
}

/** Lines of JSON of about 2 kB. */
function lines(chunk) {
  const out = [];
  for (let at = 0; at < chunk.length; ) {
    const end = Math.min(chunk.length, at + 500 + random(3000));
    out.push(`${JSON.stringify({ id: at, text: chunk.toString('latin1', at, end) })}\n`);
    at = end;
  }
  return Buffer.from(out.join(''));
}

mkdirSync(join(folder, 'small'), { recursive: true });
for (let i = 0; i < 5; i++) write(`large-${i}.txt`, 2 * PART);
for (let i = 0; i < (2 * PART) / 1e5; i++) writeFileSync(join(folder, `small/${i}.txt`), text(1e5));
for (let i = 0; i < 4; i++) write(`lines-${i}.jsonl`, PART, lines);
// Members end to end are one file.
write('text.txt.gz', PART, (chunk) => zlib.gzipSync(chunk, { level: 1 }));
if (zlib.zstdCompressSync) write('text.txt.zst', PART, (chunk) => zlib.zstdCompressSync(chunk));
let number = 0;
const tar = openSync(join(folder, 'files.tar'), 'w');
for (let left = PART; left > 0; left -= 1e5) writeSync(tar, tarEntry(`file-${number++}.txt`, text(1e5)));
writeSync(tar, TAR_END);
closeSync(tar);
for (let i = 0; i < Math.ceil(PART / 1e8); i++) {
  const data = Array.from({ length: Math.min(PART, 1e8) / 2000 }, () => text(2000).toString('latin1'));
  const columnData = [{ name: 'text', data, type: 'STRING' }];
  parquetWriteFile({ filename: join(folder, `rows-${i}.parquet`), columnData, rowGroupSize: 5000 });
}
