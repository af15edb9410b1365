/** @file Files that become other files: what is deleted, and what is left where it was. */
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, lstatSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { type Conversion, convertFiles } from '../../../packages/cli/src/data/converted-files.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const complaints = (): string[] => {
  const said: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  return said;
};

/** Copies, during which something happens. */
const copying = (meanwhile: () => void = () => {}): Conversion => ({
  nameOf: (file) => `${file}.copy`,
  binary: false,
  convert: async (bytes) => {
    meanwhile();
    return bytes;
  },
  report: () => {},
});

test('a file is deleted with --rm if it is the one that was read', async () => {
  const file = join(temporaryFolder({ 'a.log': 'read' }), 'a.log');
  expect(await convertFiles([file], { rm: true }, copying())).toBe(0);
  expect([existsSync(file), readFileSync(`${file}.copy`, 'utf8')]).toEqual([false, 'read']);
});

test.each<[string, (file: string) => void]>([
  ['appended to', (file) => appendFileSync(file, ', and more')],
  [
    'rotated',
    (file) => {
      renameSync(file, `${file}.1`);
      writeFileSync(file, 'next');
    },
  ],
])('a file that was %s meanwhile is kept, and that is said', async (_, change) => {
  const said = complaints();
  const file = join(temporaryFolder({ 'a.log': 'read' }), 'a.log');
  expect(
    await convertFiles(
      [file],
      { rm: true },
      copying(() => change(file)),
    ),
  ).toBe(1);
  expect([existsSync(file), readFileSync(`${file}.copy`, 'utf8')]).toEqual([true, 'read']);
  expect(said.join('')).toContain(`${file}: it has changed since it was read, so it is kept`);
});

test('a place that cannot take the result is said before the work', async () => {
  const said = complaints();
  const file = join(temporaryFolder({ a: 'text' }), 'a');
  const places = { 'nowhere/x': /there is no folder .*nowhere; make it first/, 'a/x': /a part of the path is a file/ };
  for (const [place, why] of Object.entries(places)) {
    const work = vi.fn();
    expect(await convertFiles([file], { out: join(file, '..', place) }, copying(work))).toBe(1);
    expect([work.mock.calls, said.pop()]).toEqual([[], expect.stringMatching(why)]);
  }
});

test.skipIf(process.platform === 'win32')(
  'a device is written to without -f, and stays; --rm has nothing to keep',
  async () => {
    const said = complaints();
    const folder = temporaryFolder({ a: 'text' });
    symlinkSync('/dev/null', join(folder, 'null'));
    const out = join(folder, 'null');
    expect(await convertFiles([join(folder, 'a')], { out }, copying())).toBe(0);
    expect(lstatSync(out).isSymbolicLink()).toBe(true);
    expect(await convertFiles([join(folder, 'a')], { out, rm: true }, copying())).toBe(1);
    expect(said.join('')).toContain('null is no file that keeps the result');
    expect(existsSync(join(folder, 'a'))).toBe(true);
  },
);

test.skipIf(process.platform === 'win32')('a pipe is read, but not deleted', async () => {
  const said = complaints();
  const pipe = join(temporaryFolder(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const write = () => spawn('sh', ['-c', 'echo text > "$0"', pipe]);
  write();
  expect(await convertFiles([pipe], { rm: true }, copying())).toBe(1);
  expect([existsSync(pipe), existsSync(`${pipe}.copy`)]).toEqual([true, false]);
  expect(said.join('')).toContain(`${pipe}: it is no plain file to delete; leave out --rm`);
  write();
  expect(await convertFiles([pipe], {}, copying())).toBe(0);
  expect(readFileSync(`${pipe}.copy`, 'utf8')).toBe('text\n');
});
