/** @file The memory beside a model, from the command line: made and measured by `blt train`, used by `blt eval` and `blt generate`. */
import { cpSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blt } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const WORDS =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness. ';
const TRAIN =
  'train --threads 1 --local-width 8 --local-heads 2 --encoder-layers 1 --decoder-layers 1 --global-width 8 --global-heads 2 --global-layers 1 --hash-vocab 16 --hash-sizes 3 --patching-mode space --row-bytes 64 --batch-size 2 --steps 2'.split(
    ' ',
  );

/** A folder with one run, `runs/r`. */
function trained(...flags: string[]): { folder: string; stdout: string } {
  const folder = temporaryFolder({ 'book.txt': WORDS.repeat(30) });
  const { code, stdout, stderr } = blt(folder, [...TRAIN, '--data', 'book.txt', '--run', 'r', ...flags]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return { folder, stdout };
}

test('a run has a memory; eval and generate use it, report it beside the model alone, and leave it out with --no-memory', () => {
  const { folder, stdout } = trained();
  expect(stdout).toMatch(/^with memory {4}[\d.]+ ± [\d.]+ \(.*it helps, so eval and generate use it\)$/m);
  const full = JSON.parse(readFileSync(join(folder, 'runs/r/evaluation.json'), 'utf8'));
  expect(full.withMemory.helps).toBe(true);
  expect(full.withMemory.heldOutBitsPerByte).toBeLessThan(full.heldOutBitsPerByte / 2);

  const evaluated = (...flags: string[]) =>
    JSON.parse(blt(folder, ['eval', '--json', '--threads', '1', '--row-bytes', '64', ...flags]).stdout);
  const both = evaluated();
  const alone = evaluated('--no-memory');
  expect(both.bits_per_byte).toBe(alone.bits_per_byte);
  expect(alone.with_memory).toBe(null);
  expect(both.with_memory.bits_per_byte).toBeLessThan(alone.bits_per_byte / 2);
  expect(blt(folder, ['eval', '--threads', '1']).stdout).toMatch(
    /^bits per byte +[\d.]+ .*\n {2}with memory +[\d.]+ /m,
  );

  const made = (...flags: string[]) =>
    JSON.parse(blt(folder, ['generate', '-p', 'it was the ', '-n', '24', '-t', '0', '--json', ...flags]).stdout).text;
  expect(made()).toMatch(/^(best|worst|age) of /);
  expect(made('--model', 'runs/r/step-000002')).toBe(made());
  // As the run keeps it where it is made longer.
  cpSync(join(folder, 'runs/r/step-000002'), join(folder, 'runs/r/finished-000002'), { recursive: true });
  expect(made('--model', 'runs/r/finished-000002')).toBe(made());
  expect(evaluated('--model', 'runs/r/finished-000002')).toMatchObject({
    data: both.data,
    with_memory: both.with_memory,
  });
  expect(made('--no-memory')).not.toBe(made());
  expect(made('--draft', '4')).toBe(made('--no-memory'));
  const said = (...flags: string[]) => blt(folder, ['generate', '-n', '2', '--draft', '4', ...flags]).stderr;
  expect(said()).toContain('--draft 4 takes the model alone, so the memory of its text is left out');
  expect(said('--no-memory')).not.toContain('memory');

  // An exported model is the model alone.
  expect(blt(folder, ['export', '--model', 'runs/r', '--out', 'hf']).code).toBe(0);
  expect(existsSync(join(folder, 'hf/memory.safetensors'))).toBe(false);

  // Without its data the run still has its memory.
  rmSync(join(folder, 'book.txt'));
  renameSync(join(folder, 'runs/r'), join(folder, 'elsewhere'));
  expect(made('--model', 'elsewhere')).toMatch(/^(best|worst|age) of /);
}, 240_000);

test('compress uses it when asked, and what is compressed opens with it only', () => {
  const { folder } = trained();
  const [book, file] = ['book.txt', 'runs/r/memory.safetensors'].map((name) => join(folder, name));
  const sizeOf = (...flags: string[]): number => {
    const { code, stdout } = blt(folder, ['compress', 'book.txt', '-f', '--json', ...flags]);
    expect(code).toBe(0);
    return JSON.parse(stdout).archive_bytes;
  };
  const alone = sizeOf();
  // Text that the model knows nothing of: it is said what would help.
  const lines = Array.from(
    { length: 400 },
    (_, i) => `${1000 + i * 37}\tstatus=installed\tlibfoo${i % 7}:amd64\n`,
  ).join('');
  writeFileSync(join(folder, 'dpkg.log'), lines);
  const foreign = (...flags: string[]) => blt(folder, ['compress', 'dpkg.log', '-f', ...flags]).stderr;
  expect(foreign()).toContain('--memory learns while it compresses, and may make it much smaller');
  const small = foreign('--memory');
  expect(small).not.toContain('learns while');
  expect(Number(/(\d+) in the archive/.exec(small)?.[1])).toBeLessThan(lines.length / 8);
  expect(sizeOf('--memory')).toBeLessThan(alone / 4);
  const open = () => blt(folder, ['decompress', 'book.txt.bltz', '-c']);
  expect(open()).toMatchObject({ code: 0, stdout: readFileSync(book, 'utf8') });
  expect(blt(folder, ['compress', 'book.txt', '-f', '--memory', '--self-contained'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--self-contained puts the model alone into the archive; leave out --memory'),
  });
  renameSync(file, `${file}.kept`);
  expect(open()).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('the archive needs a memory: there is no runs/r/memory.safetensors'),
  });
  writeFileSync(file, 'no memory');
  expect(open()).toMatchObject({ code: 1, stderr: expect.stringContaining('the archive needs it as it was') });
}, 240_000);

test('it is the same whether it is made beside the training or behind it', () => {
  const made = (threads: string) => {
    const { folder } = trained('--threads', threads);
    return ['evaluation.json', 'memory.safetensors'].map((file) => readFileSync(join(folder, 'runs/r', file)));
  };
  expect(made('2')).toEqual(made('1'));
}, 240_000);

test('what cannot be is refused in a sentence', () => {
  const { folder, stdout } = trained('--memory', 'off');
  expect(stdout).not.toContain('with memory');
  const file = join(folder, 'runs/r/memory.safetensors');
  expect(existsSync(file)).toBe(false);
  const generate = (...flags: string[]) => {
    const { code, stderr } = blt(folder, ['generate', '-n', '2', '-q', ...flags]);
    return { code, stderr };
  };
  expect(generate('--memory')).toEqual({
    code: 2,
    stderr:
      'blt: --memory: there is no runs/r/memory.safetensors; a run gets one when it ends, unless it was trained with --memory off\n',
  });
  expect(generate('--memory', '--draft', '4').stderr).toBe(
    'blt: --draft 4 is for the model alone; leave it out, or give --no-memory\n',
  );
  writeFileSync(file, 'no memory');
  expect(generate()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^blt: cannot use .*; --no-memory takes the model alone\n$/),
  });
  truncateSync(file, 2 ** 30);
  expect(generate().stderr).toMatch(/^blt: cannot use .*it has more than 16\.8 MB, the most of a memory; --no-memory/);
  expect(generate('--no-memory').code).toBe(0);
}, 240_000);
