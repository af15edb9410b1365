/**
 * @file Bits per byte that a few minutes buy: `blt train` beside PyTorch's transformers and compressors, in turns on the same cores and
 * text. `pnpm bench learn [--minutes 1.5,5] [--data FILE] [--sizes auto] [--peer PYTHON] [--tries 1,2] [--only pattern] [--plot FILE.svg]
 * [--threads 2] [--seed 1] [--json]`
 *
 * The last tenth of the text is held out. Figures are bits of all its bytes, divided by the bytes of the file. The minutes of `blt train`
 * are those of the whole command: entropy model, memory and evaluation included. Those of a peer are its training steps alone.
 * `--tries` has the numbers of the sizes that every peer gets, of which the best counts. `--sizes` does so for ours, where `auto` is what
 * `blt train --minutes` picks itself. Build first.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { mobyDick } from '../packages/cli/src/data/moby-dick.ts';
import { compressorFigures } from '../packages/cli/src/report/compressors.ts';
import { type BudgetPoint, drawBudgets } from './support/budget-plot.ts';
import { flags, patternOf, report, short, table, usage } from './support/harness.ts';

const f = flags({
  ...{ minutes: '1.5', data: '', sizes: 'auto', peer: '', tries: '1', only: '.', plot: '', threads: 2, seed: 1 },
});
const only = patternOf(f.only);
const budgets = f.minutes.split(',').map((word) => {
  const minutes = Number(word);
  return minutes > 0 ? minutes : usage(`--minutes needs numbers above 0, got ${JSON.stringify(word)}`);
});

const tries = f.tries.split(',').map(Number);

/** Sizes of the peers, the one that did best in our own tries first. Byte models read four times as many ids, so they are smaller. */
const TOKEN_SIZES = [
  { vocab: 2048, width: 160, layers: 4 },
  { vocab: 2048, width: 192, layers: 6 },
  { vocab: 4096, width: 256, layers: 4 },
  { vocab: 1024, width: 128, layers: 3 },
  { vocab: 2048, width: 160, layers: 4, dropout: 0.2 },
  { vocab: 4096, width: 256, layers: 6, dropout: 0.2 },
];
const BYTE_SIZES = TOKEN_SIZES.map((size) => ({ ...size, vocab: 256 }));
const BLT_SIZES = [64, 96, 128, 160].map((width) => ({ vocab: 256, width, layers: 3 }));
const PEERS = [
  { name: 'PyTorch, byte pairs, Muon', recipe: 'modern', sizes: TOKEN_SIZES },
  { name: 'PyTorch, bytes, Muon', recipe: 'modern', sizes: BYTE_SIZES },
  { name: 'PyTorch, byte pairs, as nanoGPT', recipe: 'nanogpt', sizes: TOKEN_SIZES },
  { name: "transformers' BLT", recipe: 'blt', sizes: BLT_SIZES },
];

const folder = mkdtempSync(join(tmpdir(), 'blt-learn-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

async function wholeText(): Promise<Buffer> {
  if (f.data !== '') return readFileSync(f.data);
  return Buffer.concat((await mobyDick(resolve('packages/cli/dist/book'))).map(({ bytes }) => bytes));
}
const text = await wholeText();
const cut = text.length - Math.round(text.length / 10);
const [train, held] = [join(folder, 'train.txt'), join(folder, 'held.txt')];
writeFileSync(train, text.subarray(0, cut));
writeFileSync(held, text.subarray(cut));

/** Runs a command to its end. @returns what it wrote */
function answerOf(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: folder, maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stderr}${stdout}`.slice(0, 3000));
  return stdout;
}

/** A run with its size and steps. */
interface Learned extends BudgetPoint {
  readonly what: string;
}
const rows: Learned[] = [];
const add = (row: Learned): void => {
  rows.push(row);
  console.error(`${row.name}, ${row.budget} min: ${row.bitsPerByte.toFixed(3)} (${row.what})`);
};

/** `blt train` as a user gives it: in the fastest Node at hand. */
function ours(minutes: number): void {
  for (const size of f.sizes.split(',')) {
    const run = `${size}-${minutes}`;
    const command = [resolve('packages/cli/dist/blt.js'), 'train', '--data', train, '--held-out', held];
    const begin = performance.now();
    answerOf(process.execPath, [
      ...command,
      ...(size === 'auto' ? [] : ['--size', size]),
      ...['--minutes', String(minutes), '--run', run, '--seed', String(f.seed)],
      ...['--threads', String(f.threads), '--quiet'],
    ]);
    const seconds = Math.round((performance.now() - begin) / 1000);
    const found = JSON.parse(readFileSync(join(folder, 'runs', run, 'evaluation.json'), 'utf8')) as {
      heldOutBitsPerByte: number;
      withMemory?: { heldOutBitsPerByte: number };
    };
    const what = `${size}, ${seconds} s in all`;
    add({ name: 'blt train', budget: minutes, bitsPerByte: found.heldOutBitsPerByte, what });
    const memory = found.withMemory?.heldOutBitsPerByte;
    if (memory !== undefined) add({ name: 'blt train, with memory', budget: minutes, bitsPerByte: memory, what });
  }
}

function peers(minutes: number): void {
  for (const { name, recipe, sizes } of PEERS.filter((one) => only.test(one.name))) {
    for (const number of tries) {
      const size = sizes[number - 1] ?? usage(`--tries has ${number}, but ${name} has sizes 1 to ${sizes.length}`);
      const options = Object.entries({ ...size, minutes, threads: f.threads, seed: f.seed });
      const said = answerOf(f.peer, [
        ...[resolve('bench/torch_learn.py'), '--train', train, '--held', held, '--recipe', recipe],
        ...options.flatMap(([option, value]) => [`--${option}`, String(value)]),
      ]);
      const found = JSON.parse(said) as { bits_per_byte: number; steps: number; parameters: number };
      const sizeOf = Object.entries(size).map(([option, value]) => `${option} ${value}`);
      const what = `${sizeOf.join(' ')}, ${short(found.parameters / 1e6)} M, ${found.steps} steps`;
      add({ name, budget: minutes, bitsPerByte: found.bits_per_byte, what });
    }
  }
}

for (const minutes of budgets) {
  if (only.test('blt train')) ours(minutes);
  if (f.peer !== '') peers(minutes);
}
const references = (await compressorFigures(text.subarray(0, cut), text.subarray(cut), { brotliQuality: 11 }))
  .filter(({ seenTraining }) => seenTraining)
  .map(({ name, bitsPerByte }) => ({ name, bitsPerByte: short(bitsPerByte) }));
const axis = { of: 'minutes of training', label: (minutes: number) => `${minutes} min` };
if (f.plot !== '') writeFileSync(f.plot, drawBudgets(rows, references, axis));
const heading = ['', 'minutes', 'bits per byte', 'what'];
report('learn', { text_bytes: text.length, held_out_bytes: text.length - cut, rows, references }, [
  ...table([
    heading,
    ...rows.map(({ name, budget, bitsPerByte, what }) => [name, String(budget), bitsPerByte.toFixed(3), what]),
    ...references.map(({ name, bitsPerByte }) => [`${name}, after the training part`, '', bitsPerByte.toFixed(3), '']),
  ]),
]);
