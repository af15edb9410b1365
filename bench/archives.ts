/**
 * @file Archives beside brotli and xz that have read the same text: `pnpm bench archives [MODEL] [--corpus code|prose|FILE] [--threads N] [--json]`.
 * The last tenth of the corpus is held out. Without MODEL a nano model is trained on the rest, for as long as the quickstart trains. A
 * MODEL must not have read the last tenth. If it is a run with a memory, an archive with that is made too. brotli -11 with a window of 1 GiB and xz -9e pay for it what the whole corpus takes more than its
 * first nine tenths. xz is the command of that name.
 *
 * `prose` is the book that travels with the command, chapter after chapter. `code` is the JavaScript of Knip, in the version of the
 * lockfile, file after file. The seconds are those of the commands by the clock, their start included.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { flags, report, short, table, usage } from './support/harness.ts';

const f = flags({ corpus: 'code', threads: availableParallelism() }, 1);
const BLT = resolve('packages/cli/dist/blt.js');
const BOOK = 'packages/cli/dist/book';
const CODE = 'node_modules/knip/dist';

/** The files of a folder in the order of their paths, end to end. */
function joinedFiles(folder: string, ending: string): Buffer {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(ending));
  return Buffer.concat(paths.sort().map((path) => readFileSync(join(folder, path))));
}

/** The chapters of the book, in its order. */
function book(): Buffer {
  const number = (name: string): number => Number(name.match(/\d+/)![0]);
  const names = readdirSync(BOOK).filter((name) => name.endsWith('.txt'));
  return Buffer.concat(names.sort((a, b) => number(a) - number(b)).map((name) => readFileSync(join(BOOK, name))));
}

function corpus(): Buffer {
  if (f.corpus === 'prose') return book();
  if (f.corpus === 'code') return joinedFiles(CODE, '.js');
  try {
    return readFileSync(f.corpus);
  } catch {
    return usage(`--corpus must be code, prose or a file, got ${JSON.stringify(f.corpus)}`);
  }
}

/** Runs a program to its end. @returns its standard output and its seconds */
function done(program: string, args: readonly string[], input?: Uint8Array): { stdout: Buffer; seconds: number } {
  const start = performance.now();
  const { status, stdout, error } = spawnSync(program, args, {
    input,
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 2 ** 30,
  });
  if (error) return usage(`${program} is needed: ${error.message}`);
  if (status !== 0) return usage(`${program} ${args.join(' ')} ended with ${status}`);
  return { stdout, seconds: (performance.now() - start) / 1000 };
}
const blt = (...args: string[]) => done(process.execPath, [BLT, ...args]);

const brotli = (bytes: Uint8Array): number =>
  brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LARGE_WINDOW]: 1,
      [constants.BROTLI_PARAM_LGWIN]: 30,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  }).length;
const xz = (bytes: Uint8Array): number => done('xz', ['-9e', '-c', '-T1'], bytes).stdout.length;

const folder = mkdtempSync(join(tmpdir(), 'blt-archives-'));
try {
  const whole = corpus();
  const cut = Math.floor(whole.length * 0.9);
  const [train, heldOut] = [whole.subarray(0, cut), whole.subarray(cut)];
  const [trainFile, file, archive] = ['train', 'held-out', 'archive'].map((name) => join(folder, name));
  writeFileSync(trainFile, train);
  writeFileSync(file, heldOut);
  let [model] = f.words;
  if (!model) {
    model = join(folder, 'model');
    blt('train', '--this-node', '--data', trainFile, '--held-out', file, '--runs', folder, '--run', 'model');
  }
  const threads = String(f.threads);
  /** Makes an archive and opens it. */
  const tried = (...options: string[]) => {
    const packing = blt(
      'compress',
      file,
      '--model',
      model,
      '--threads',
      threads,
      '--force',
      '--out',
      archive,
      ...options,
    );
    const opening = blt('decompress', archive, '-c', '--model', model, '--threads', threads);
    if (!opening.stdout.equals(heldOut)) usage('the archive does not open to what went in');
    const speeds = [packing, opening].map(({ seconds }) => short(heldOut.length / seconds / 1000));
    return { bytes: statSync(archive).size, speeds };
  };
  const alone = tried();
  const mixed = existsSync(join(model, 'memory.safetensors')) ? tried('--memory') : null;
  const sizes = {
    'blt compress': alone.bytes,
    ...(mixed && { 'blt compress --memory': mixed.bytes }),
    'brotli -11': brotli(whole) - brotli(train),
    'xz -9e': xz(whole) - xz(train),
    'brotli -11, held-out part alone': brotli(heldOut),
    'xz -9e, held-out part alone': xz(heldOut),
  };
  const own = sizes['blt compress'];
  const { speeds } = alone;
  const result = {
    corpus: f.corpus,
    train_bytes: train.length,
    bytes: heldOut.length,
    threads: f.threads,
    sizes,
    compress_kb_per_second: speeds[0],
    decompress_kb_per_second: speeds[1],
    ...(mixed && {
      compress_with_memory_kb_per_second: mixed.speeds[0],
      decompress_with_memory_kb_per_second: mixed.speeds[1],
    }),
  };
  report('archives', result, [
    `${f.corpus}: ${train.length} bytes read before, ${heldOut.length} held out`,
    ...table([
      ['', 'bytes', 'bits a byte', 'times ours'],
      ...Object.entries(sizes).map(([name, size]) => [
        name,
        String(size),
        ((8 * size) / heldOut.length).toFixed(3),
        (size / own).toFixed(2),
      ]),
    ]),
    `compress ${speeds[0]} kB/s, decompress ${speeds[1]} kB/s, ${threads} threads`,
    ...(mixed ? [`with the memory ${mixed.speeds[0]} and ${mixed.speeds[1]} kB/s, of which reading it is a part`] : []),
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
