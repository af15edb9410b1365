/** @file Results that stand in for nothing but files, and places that are refused before the work. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { compareCommand } from '../../../packages/cli/src/commands/compare.ts';
import { patchCommand } from '../../../packages/cli/src/commands/patch.ts';
import { traceCommand } from '../../../packages/cli/src/commands/trace.ts';
import { checkCanWrite, writeFileAtomically } from '../../../packages/cli/src/files/atomic-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const FS = 'node:fs';

describe.skipIf(process.platform === 'win32')('a result', () => {
  test('goes into a pipe, and the pipe stays', async () => {
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const reader = spawn('cat', [pipe]);
    let read = '';
    reader.stdout.on('data', (chunk: Buffer) => {
      read += chunk;
    });
    checkCanWrite(pipe);
    await writeFileAtomically(pipe, Buffer.from('a page'));
    expect(lstatSync(pipe).isFIFO()).toBe(true);
    await once(reader, 'close');
    expect(read).toBe('a page');
  });

  test('goes through a link: to a device, which stays, or to a file, which is replaced', async () => {
    const folder = temporaryFolder({ 'there/file': 'old' });
    symlinkSync('/dev/null', join(folder, 'null'));
    symlinkSync('there/file', join(folder, 'link'));
    for (const name of ['null', 'link']) {
      checkCanWrite(join(folder, name));
      await writeFileAtomically(join(folder, name), Buffer.from('new'));
      expect(lstatSync(join(folder, name)).isSymbolicLink()).toBe(true);
    }
    expect(readFileSync(join(folder, 'there/file'), 'utf8')).toBe('new');
    expect(readdirSync(folder).sort()).toEqual(['link', 'null', 'there']);
  });
});

describe('a place is refused', () => {
  afterEach(() => {
    vi.doUnmock(FS);
    vi.resetModules();
  });

  test('that is a folder, is in no folder, or under a file', () => {
    const folder = temporaryFolder({ file: '' });
    expect(() => checkCanWrite(folder)).toThrow(/^cannot write .*: it is a folder$/);
    expect(() => checkCanWrite(join(folder, 'no/x'))).toThrow(/no\/x: there is no folder .*no; make it first$/);
    expect(() => checkCanWrite(join(folder, 'file/x'))).toThrow(/x: a part of the path is a file, not a folder$/);
    expect(checkCanWrite(join(folder, 'file'))).toBeUndefined();
    expect(checkCanWrite(join(folder, 'new'))).toBeUndefined();
  });

  test('that may not be written', async () => {
    const denied = (): never => {
      throw Object.assign(new Error('EACCES: injected'), { code: 'EACCES' });
    };
    vi.resetModules();
    vi.doMock(FS, async () => ({ ...(await vi.importActual<object>(FS)), accessSync: denied }));
    const { checkCanWrite: check } = await import('../../../packages/cli/src/files/atomic-file.ts');
    expect(() => check(join(temporaryFolder(), 'x'))).toThrow(/^cannot write .*x: permission denied$/);
  });

  test('before a model or a run is looked for', async () => {
    const why = 'cannot write no/x: there is no folder no; make it first';
    const model = 'no-model';
    const text = { text: 'abc', maxBytes: 10 };
    await expect(patchCommand([], { ...text, model, html: 'no/x' })).rejects.toThrow(why);
    await expect(compareCommand(['no-run'], { html: 'no/x' })).rejects.toThrow(why);
    const ids = join(temporaryFolder({ 'ids.json': '{"input_ids": [[1, 76]]}' }), 'ids.json');
    await expect(traceCommand({ model, ids, out: 'no/x' })).rejects.toThrow(why);
  });
});
