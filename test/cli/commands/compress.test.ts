/** @file `blt compress` and `blt decompress` as gzip's users know it: files, pipes, exit codes, and one sentence for what goes wrong. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BLT, blt, type Outcome } from '../../support/command.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const model = join(fixtures, 'tiny_A_1b_like');
const folder = mkdtempSync(join(tmpdir(), 'blt-test-'));
const at = (name: string) => join(folder, name);
const text = Buffer.from('Call me Ishmael. Some years ago, never mind how long precisely. \0\xff'.repeat(3), 'latin1');

const run = (...args: string[]): Outcome => blt(folder, [...args, '--model', model, '--threads', '1']);
/** The same with a second thread, which gets one of two streams. */
const shared = (...args: string[]): Outcome => blt(folder, [...args, '--model', model, '--threads', '2']);
/** Standard output and what was written to it, as bytes. */
const piped = (args: string[], input: Uint8Array, threads = '1', program = BLT) =>
  spawnSync(process.execPath, [program, ...args, '--threads', threads], { cwd: folder, input });

beforeAll(() => {
  writeFileSync(at('a.txt'), text);
  chmodSync(at('a.txt'), 0o600);
  expect(run('compress', 'a.txt', '--block', '60')).toMatchObject({ code: 0, stdout: '' });
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('files', () => {
  test('come back as they were, private ones private, and stay', () => {
    expect(readFileSync(at('a.txt'))).toEqual(text);
    expect(statSync(at('a.txt.bltz')).mode & 0o777).toBe(0o600);
    const { code, stdout } = shared('decompress', 'a.txt.bltz', '--out', 'b.txt', '--json');
    expect(code).toBe(0);
    const { bytes, archive_bytes } = JSON.parse(stdout);
    expect([bytes, archive_bytes]).toEqual([text.length, statSync(at('a.txt.bltz')).size]);
    expect(readFileSync(at('b.txt'))).toEqual(text);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('are not overwritten without -f, nor deleted without --rm', () => {
    expect(run('decompress', 'a.txt.bltz')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a.txt exists already; overwrite it with -f'),
    });
    writeFileSync(at('c'), 'short');
    expect(run('compress', 'c', '--rm')).toMatchObject({ code: 0 });
    expect(existsSync(at('c'))).toBe(false);
    expect(run('compress', '-d', '-f', 'c.bltz')).toMatchObject({ code: 0 });
    expect(readFileSync(at('c'), 'utf8')).toBe('short');
  });

  test('that fail do not keep the others from their turn', () => {
    writeFileSync(at('d'), 'm');
    symlinkSync('circle', at('circle'));
    const { code, stderr } = run('compress', 'missing', 'circle', 'a.txt/x', 'a.txt.bltz', 'd');
    expect(code).toBe(1);
    expect(stderr).toContain('blt: circle: its symbolic links go round in a circle\n');
    expect(stderr).toMatch(
      /^blt: a\.txt\/x: cannot write a\.txt\/x\.bltz: a part of the path is a file, not a folder$/m,
    );
    expect(stderr).toMatch(/missing: .*no such file/);
    expect(stderr).toContain('a.txt.bltz: it ends in .bltz already');
    expect(stderr).toContain('d -> d.bltz: 1 byte, ');
    expect(existsSync(at('d.bltz'))).toBe(true);
  });
});

test('a result never takes the place of what it is made of', () => {
  writeFileSync(at('own'), 'short');
  const refused = { code: 1, stderr: expect.stringContaining('own: the result would take its own place') };
  expect(run('compress', 'own', '-o', './own', '-f', '--rm')).toMatchObject(refused);
  expect(readFileSync(at('own'), 'utf8')).toBe('short');
});

test('archives laid end to end are opened as one, and nothing else may follow them', () => {
  const [one, two] = [Buffer.from('first\n'), Buffer.from('second\n')];
  for (const [name, content] of Object.entries({ one, two })) writeFileSync(at(name), content);
  const both = piped(['compress', '-c', '-q', '-m', model, 'one', 'two'], Buffer.alloc(0));
  expect(both.status).toBe(0);
  const opened = piped(['decompress', '-c', '-q', '-m', model], both.stdout);
  expect({ status: opened.status, stdout: opened.stdout }).toEqual({ status: 0, stdout: Buffer.concat([one, two]) });
  const more = piped(['decompress', '-c', '-q', '-m', model], Buffer.concat([both.stdout, Buffer.from('BLT')]));
  expect({ status: more.status, stdout: more.stdout.length }).toEqual({ status: 1, stdout: 0 });
  expect(String(more.stderr)).toContain('the archive is damaged: 3 more bytes than it should have');
});

test('a context that the model has not is refused', () => {
  expect(run('compress', 'a.txt', '-f', '--context', '1000000')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--context 1000000: the model reads at most \d+ bytes; give less/),
  });
});

test('pipes carry archives and contents, whole and alone', () => {
  // The command is one file, which its threads need too: a copy of it alone has them.
  copyFileSync(BLT, at('alone.mjs'));
  const archive = piped(['compress', '-m', model, '--block', '60'], text, '2', at('alone.mjs'));
  expect(archive.status).toBe(0);
  // Two threads make the archive that one has made.
  expect(archive.stdout).toEqual(readFileSync(at('a.txt.bltz')));
  const back = piped(['decompress', '-c', '-q', '-m', model, '-'], archive.stdout);
  expect(back.stdout).toEqual(text);
  expect(String(back.stderr)).toBe('');
});

describe('refusals', () => {
  const cases: [string, (bytes: Buffer) => Uint8Array, RegExp][] = [
    ['cut', (bytes) => bytes.subarray(0, bytes.length - 9), /the archive is (cut off|damaged)/],
    ['changed', (bytes) => bytes.map((byte, i) => (i === bytes.length - 20 ? byte ^ 4 : byte)), /is damaged|cut off/],
    ['foreign', () => Buffer.from('PK\u0003\u0004'), /it is no archive/],
  ];
  test.each(cases)('an archive that is %s: one sentence, and nothing is written', (name, change, message) => {
    writeFileSync(at(`${name}.bltz`), change(readFileSync(at('a.txt.bltz'))));
    const { code, stdout, stderr } = shared('decompress', `${name}.bltz`, '-q');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(at(name))).toBe(false);
  });

  test('another model is named as the reason', () => {
    const other = join(fixtures, 'tiny_B_7b_like');
    const { code, stderr } = blt(folder, ['decompress', 'a.txt.bltz', '-c', '-q', '--model', other]);
    expect(code).toBe(1);
    expect(stderr).toContain('a.txt.bltz: the archive was made with another model');
  });

  test('a file that is not there is said without the words of the system', () => {
    expect(run('compress', 'none.txt', '-q')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^blt: none\.txt: there is no such file\n$/),
    });
  });

  test.each([['--memory'], ['--block', '5'], ['--places', '2'], ['--self-contained'], ['--context', '77']])(
    'opening an archive refuses %s, which shapes one',
    (...flags) => {
      expect(run('compress', '-d', 'a.txt.bltz', '-c', ...flags)).toMatchObject({
        code: 2,
        stdout: '',
        stderr: `blt: ${flags[0]} is for making an archive, and -d opens one as it was made; leave one out\n`,
      });
    },
  );

  test.each([
    [['--context', '1000000'], /^blt: --context 1000000: the model reads at most \d+ bytes; give less\n$/],
    [['--memory'], /^blt: --memory: there is no .*memory\.safetensors; [^\n]*\n$/],
  ])('%j is wrong for all files, so it is said once and the command ends with code 2', (flags, said) => {
    expect(run('compress', 'a.txt', 'a.txt', 'none.txt', '-q', '-f', ...flags)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(said),
    });
  });

  test('so is a model that is not there, for archives too', () => {
    for (const args of [
      ['compress', 'a.txt', 'a.txt', '-f'],
      ['decompress', 'a.txt.bltz', 'a.txt.bltz', '-f'],
    ]) {
      expect(blt(folder, [...args, '-q', '--model', 'nowhere'])).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^blt: cannot load a model from nowhere: there is no such folder;[^\n]*\n$/),
      });
    }
  });

  test('flags that do not go together leave with code 2', () => {
    for (const flags of [
      ['-c', '--rm'],
      ['-k', '--rm', 'd', '--out', 'x'],
    ]) {
      expect(run('compress', 'a.txt', ...flags)).toMatchObject({ code: 2, stderr: expect.stringContaining('leave') });
    }
  });
});

test('an archive with its model opens without one', () => {
  expect(run('compress', 'a.txt', '--self-contained', '--out', 'whole.bltz')).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/the model inside has .*pays/),
  });
  const { stdout, status } = piped(['decompress', '-c', '-q', 'whole.bltz'], Buffer.alloc(0));
  expect(status).toBe(0);
  expect(stdout).toEqual(text);
});
