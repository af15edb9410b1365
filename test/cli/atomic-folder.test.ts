import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  type FileSystem,
  folderProblem,
  latestFolder,
  listFolders,
  MANIFEST,
  pruneFolders,
  removeLeftovers,
  setLatest,
  writeFolder,
} from '../../packages/cli/src/atomic-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const files = (text: string) => ({ 'config.json': `{"run":"${text}"}`, 'model.bin': new TextEncoder().encode(text) });
const contents = (folder: string): string => readFileSync(join(folder, 'model.bin'), 'utf8');

/** A process that has surely ended: Linux and macOS give out no such id. */
const DEAD_PID = 2 ** 30;

class Crash extends Error {}

/**
 * The real file system until the call number `at`. From then on nothing happens any more: every call throws, as for a process that
 * is dead. With `once` only that call fails (ENOSPC), as for a disk that is full for a moment.
 */
function failing(at: number, once = false): FileSystem & { calls: number } {
  const state = { calls: 0 };
  const guard = (): void => {
    const call = state.calls++;
    if (once ? call === at : call >= at)
      throw once ? Object.assign(new Error('disk full'), { code: 'ENOSPC' }) : new Crash();
  };
  const guarded =
    <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      guard();
      return run(...args);
    };
  const open = async (...args: Parameters<typeof nodeFs.open>) => {
    guard();
    const handle = await nodeFs.open(...args);
    // The file is closed all the same: a dead process leaves none open.
    return {
      writeFile: guarded((data: Uint8Array) => handle.writeFile(data)),
      sync: guarded(() => handle.sync()),
      close: () => handle.close(),
    };
  };
  const { mkdir, readdir, readFile, rename, rm, stat, lstat } = nodeFs;
  const calls = Object.fromEntries(
    Object.entries({ mkdir, readdir, readFile, rename, rm, stat, lstat }).map(([name, call]) => [
      name,
      guarded(call as (...args: unknown[]) => Promise<unknown>),
    ]),
  );
  // A deletion that is interrupted has deleted something already.
  const interruptedRm = async (...args: Parameters<typeof rm>): Promise<void> => {
    if (!once && state.calls === at) await rm(join(String(args[0]), 'model.bin'), { force: true });
    return guarded(rm)(...args);
  };
  return Object.assign(state, calls, { open, rm: interruptedRm }) as unknown as FileSystem & { calls: number };
}

/** Leftovers carry the pid of this test; a reader in another process would see a dead one. */
async function readAsNewProcess(parent: string): Promise<string | undefined> {
  await removeLeftovers(parent);
  const name = await latestFolder(parent, { checksums: true });
  return name && contents(join(parent, name));
}

test('a written folder holds its files and a manifest that fits them, and nothing else is left', async () => {
  const parent = join(temporaryFolder(), 'runs', 'a');
  expect(await latestFolder(parent)).toBeUndefined();
  const folder = await writeFolder(parent, 'step-000010', files('ten'));
  expect(readdirSync(parent)).toEqual(['step-000010']);
  expect(readdirSync(folder).sort()).toEqual(['config.json', MANIFEST, 'model.bin']);
  expect(await folderProblem(folder, { checksums: true })).toBeUndefined();
  expect(await latestFolder(parent)).toBe('step-000010');
});

test('an existing folder is overwritten only on demand', async () => {
  const parent = temporaryFolder();
  await writeFolder(parent, 'best', files('old'));
  await expect(writeFolder(parent, 'best', files('new'))).rejects.toThrow(
    /best exists already; nothing was overwritten/,
  );
  expect(contents(join(parent, 'best'))).toBe('old');
  await writeFolder(parent, 'best', files('new'), { overwrite: true });
  expect(contents(join(parent, 'best'))).toBe('new');
  expect(readdirSync(parent)).toEqual(['best']);
});

test('after a crash at any file system call the loader finds the previous or the new checkpoint, whole', async () => {
  const seen = new Set<string | undefined>();
  let finished = false;
  for (let at = 0; !finished; at++) {
    const parent = temporaryFolder();
    await writeFolder(parent, 'step-000001', files('one'));
    await setLatest(parent, 'step-000001');
    try {
      const fs = failing(at);
      await writeFolder(parent, 'step-000002', files('two'), { fs });
      await setLatest(parent, 'step-000002', fs);
      await pruneFolders(parent, { keepLast: 1, fs });
      finished = true;
    } catch {
      // The crash; what matters is what is on the disk.
    }
    const found = await readAsNewProcess(parent);
    expect(['one', 'two']).toContain(found);
    seen.add(found);
    expect(readdirSync(parent).filter((name) => name.startsWith('.'))).toEqual([]);
    // No name of a whole folder stands for half of one, whether latest points there or not.
    for (const name of await listFolders(parent)) {
      expect(await folderProblem(join(parent, name), { checksums: true })).toBeUndefined();
    }
    expect(at).toBeLessThan(100);
  }
  expect(seen.size).toBe(2);
});

test('after a crash at any call an overwritten folder is the old one or the new one, whole', async () => {
  const seen = new Set<string | undefined>();
  let finished = false;
  for (let at = 0; !finished; at++) {
    const parent = temporaryFolder();
    await writeFolder(parent, 'best', files('old'));
    try {
      await writeFolder(parent, 'best', files('new'), { overwrite: true, fs: failing(at) });
      finished = true;
    } catch {
      // As above.
    }
    const found = await readAsNewProcess(parent);
    expect(['old', 'new']).toContain(found);
    seen.add(found);
    expect(readdirSync(parent)).toEqual(['best']);
  }
  expect(seen.size).toBe(2);
});

test('a full disk at any moment leaves what was there, and says so', async () => {
  for (let at = 0; ; at++) {
    const parent = temporaryFolder();
    await writeFolder(parent, 'best', files('old'));
    const fs = failing(at, true);
    const error = await writeFolder(parent, 'best', files('new'), { overwrite: true, fs }).catch((e) => e as Error);
    if (fs.calls <= at) break;
    if (error instanceof Error && error.name === 'UserError') {
      expect(error.message).toMatch(
        /cannot save .*best \(\d+ B\): no space left on the device; what was saved before is untouched/,
      );
    }
    expect(['old', 'new']).toContain(contents(join(parent, 'best')));
  }
});

test('latest wins over the highest number; without it, or when it is damaged, the highest sound one is taken', async () => {
  const parent = temporaryFolder();
  for (const step of [9, 10, 200]) await writeFolder(parent, `step-${step}`, files(`${step}`));
  expect(await listFolders(parent)).toEqual(['step-9', 'step-10', 'step-200']);
  expect(await latestFolder(parent)).toBe('step-200');
  await setLatest(parent, 'step-10');
  expect(await latestFolder(parent)).toBe('step-10');
  writeFileSync(join(parent, 'latest'), '../../etc\n');
  expect(await latestFolder(parent)).toBe('step-200');
  writeFileSync(join(parent, 'step-200', 'model.bin'), '20');
  const warnings: string[] = [];
  expect(await latestFolder(parent, { warn: (message) => warnings.push(message) })).toBe('step-10');
  expect(warnings).toEqual([`${join(parent, 'step-200')} is not usable: model.bin has 2 bytes instead of 3`]);
});

test('every kind of damage is noticed', async () => {
  const damage: [string, (folder: string) => void, RegExp][] = [
    ['size', (f) => writeFileSync(join(f, 'model.bin'), 'abcd'), /model\.bin has 4 bytes instead of 3/],
    ['bits', (f) => writeFileSync(join(f, 'model.bin'), 'abd'), /model\.bin does not match its SHA-256/],
    ['a file', (f) => rmSync(join(f, 'config.json')), /config\.json is missing/],
    ['the manifest', (f) => rmSync(join(f, MANIFEST)), /manifest\.json is missing/],
    ['its syntax', (f) => writeFileSync(join(f, MANIFEST), '{'), /manifest\.json cannot be read/],
    ['its format', (f) => writeFileSync(join(f, MANIFEST), 'null'), /not of format 1/],
    [
      'its names',
      (f) => writeFileSync(join(f, MANIFEST), '{"format":1,"files":{"../x":{"bytes":1,"sha256":""}}}'),
      /'\.\.\/x', which is no plain file name/,
    ],
  ];
  for (const [, harm, message] of damage) {
    const folder = await writeFolder(temporaryFolder(), 'a', files('abc'));
    harm(folder);
    expect(await folderProblem(folder, { checksums: true })).toMatch(message);
  }
});

test('pruning keeps the last few, the best, and the one latest names', async () => {
  const parent = temporaryFolder();
  for (const step of [1, 2, 3, 4, 10, 11]) await writeFolder(parent, `step-${step}`, files(`${step}`));
  await writeFolder(parent, 'other', files('other'));
  await setLatest(parent, 'step-3');
  const deleted = await pruneFolders(parent, { keepLast: 2, keep: ['step-2'], only: /^step-\d+$/ });
  expect(deleted).toEqual(['step-1', 'step-4']);
  expect(await listFolders(parent)).toEqual(['other', 'step-2', 'step-3', 'step-10', 'step-11']);
});

test('leftovers of dead processes go, those of living ones stay', async () => {
  const parent = temporaryFolder();
  await writeFolder(parent, 'kept', files('kept'));
  for (const name of [
    `.a.tmp-${DEAD_PID}`,
    `.b.trash-${DEAD_PID}`,
    `.kept.old-${DEAD_PID}`,
    `.c.tmp-${process.ppid}`,
    '.mine',
  ]) {
    mkdirSync(join(parent, name));
  }
  await writeFolder(parent, 'moved', files('moved'));
  await nodeFs.rename(join(parent, 'moved'), join(parent, `.moved.old-${DEAD_PID}`));
  await removeLeftovers(parent);
  expect(readdirSync(parent).sort()).toEqual([`.c.tmp-${process.ppid}`, '.mine', 'kept', 'moved'].sort());
  expect(contents(join(parent, 'kept'))).toBe('kept');
  await removeLeftovers(join(parent, 'nowhere'));
});

test('names that lead elsewhere are refused', async () => {
  const parent = temporaryFolder();
  for (const bad of ['', '.', '..', '../a', 'a/b', '.hidden', 'latest', MANIFEST]) {
    await expect(writeFolder(parent, bad, {})).rejects.toThrow(/cannot name/);
    await expect(writeFolder(parent, 'a', { [bad]: '' })).rejects.toThrow(/cannot name/);
  }
  expect(readdirSync(parent)).toEqual([]);
});
