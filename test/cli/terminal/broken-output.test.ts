import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BLT, blt, bltInterrupted } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --data book.txt --backend wasm --threads 1'.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const withBook = (): string => temporaryFolder({ 'book.txt': TEXT });
const LONG = ['train', ...TINY, '--steps', '100000', '--eval-every', '0', '--run', 'r'];

/** Runs `blt` into a pipe that is closed after its first piece of output. */
async function intoClosedPipe(cwd: string, args: readonly string[]) {
  const child = spawn(process.execPath, [BLT, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

/** Runs `blt` with its output on a device that is always full. */
async function ontoFullDisk(cwd: string, args: readonly string[]) {
  const child = spawn(process.execPath, [BLT, ...args], { cwd, stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

describe('a reader that goes away', () => {
  test('ends training in order: saved, said on stderr, 141; the run goes on from there', async () => {
    const folder = withBook();
    const { code, stderr } = await intoClosedPipe(folder, [...LONG, '--json']);
    expect(stderr).toMatch(
      /^blt: nobody reads the output any more; saved runs\/r\/step-\d+\. Go on with:\n {2}blt train --resume runs\/r\n$/,
    );
    expect(code).toBe(141);
    expect(readdirSync(join(folder, 'runs', 'r')).filter((name) => name.startsWith('lock'))).toEqual([]);
    expect(blt(folder, ['train', '--resume', 'runs/r', '--minutes', '0.001', '--json']).stdout).toContain('"resumed"');
  });

  test('is no failure of a command that shows something, and no stack trace', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `${i}.txt`);
    const folder = temporaryFolder({ 'book.txt': TEXT, ...Object.fromEntries(names.map((name) => [name, TEXT])) });
    expect(blt(folder, ['train', ...TINY, '--steps', '1', '--run', 'r']).code).toBe(0);
    const patches = ['patch', '--model', 'runs/r', '--mode', 'byte', '--json'];
    expect(await intoClosedPipe(folder, [...patches, ...names])).toEqual({ code: 0, stderr: '' });
  });
});

// Linux has a device for it; elsewhere there is nothing to ask.
test.runIf(existsSync('/dev/full'))('a full disk behind the output is named in one sentence', async () => {
  const folder = withBook();
  expect(await ontoFullDisk(folder, ['runs'])).toEqual({
    code: 1,
    stderr: 'blt: cannot write the output: no space left on the device\n',
  });
});

test('a closed terminal (SIGHUP) saves the run: nothing is lost', async () => {
  const folder = withBook();
  const { code, stdout } = await bltInterrupted(folder, LONG, /step 1\/100000/, 'SIGHUP' as NodeJS.Signals);
  expect(code).toBe(129);
  expect(stdout).toMatch(/stopped by SIGHUP; saved runs\/r\/step-\d+/);
  const saved = readFileSync(join(folder, 'runs', 'r', 'latest'), 'utf8').trim();
  const last = readFileSync(join(folder, 'runs', 'r', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .at(-1)!;
  expect(Number(saved.slice(5))).toBe(JSON.parse(last).step);
});
