import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as nodeFs from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  folderProblem,
  latestFolder,
  listFolders,
  pruneFolders,
  removeLeftovers,
  setLatest,
  writeFolder,
} from '../../../packages/cli/src/files/atomic-folder.ts';
import { MANIFEST } from '../../../packages/cli/src/files/checksums.ts';
import type { FileSystem } from '../../../packages/cli/src/files/synced-file.ts';
import { FAULTS, failingFs } from '../../support/failing-fs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const files = (text: string) => ({ 'config.json': `{"run":"${text}"}`, 'model.bin': new TextEncoder().encode(text) });
const contents = (folder: string): string => readFileSync(join(folder, 'model.bin'), 'utf8');

/** A process that has surely ended: Linux and macOS give out no such id. */
const DEAD_PID = 2 ** 30;

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

test('everything is on the disk before the name is, and the name before anything goes', async () => {
  const parent = temporaryFolder();
  await writeFolder(parent, 'best', files('old'));
  const did: string[] = [];
  const short = (path: unknown) => basename(String(path)).replace(`-${process.pid}`, '');
  const open = async (...args: Parameters<typeof nodeFs.open>) => {
    const handle = await nodeFs.open(...args);
    return {
      writeFile: (data: Uint8Array) => handle.writeFile(data).then(() => did.push(`write ${short(args[0])}`)),
      sync: () => handle.sync().then(() => did.push(`sync ${short(args[0])}`)),
      close: () => handle.close().then(() => did.push(`close ${short(args[0])}`)),
    };
  };
  const rename = (from: string, to: string) =>
    nodeFs.rename(from, to).then(() => did.push(`rename ${short(from)} to ${short(to)}`));
  const rm = (path: string, options: object) => nodeFs.rm(path, options).then(() => did.push(`delete ${short(path)}`));
  const fs = { ...nodeFs, open, rename, rm } as unknown as FileSystem;
  await writeFolder(parent, 'best', { a: 'new' }, { overwrite: true, fs });
  const root = short(parent);
  const file = (name: string) => [`write ${name}`, `sync ${name}`, `close ${name}`];
  expect(did).toEqual([
    'delete .best.tmp',
    ...file('a'),
    ...file(MANIFEST),
    'sync .best.tmp',
    'close .best.tmp',
    'delete .best.old',
    'rename best to .best.old',
    'rename .best.tmp to best',
    `sync ${root}`,
    `close ${root}`,
    'delete .best.old',
    `sync ${root}`,
    `close ${root}`,
  ]);
  did.length = 0;
  await setLatest(parent, 'best', fs);
  expect(did).toEqual([
    'delete .latest.tmp',
    ...file('.latest.tmp'),
    'rename .latest.tmp to latest',
    `sync ${root}`,
    `close ${root}`,
  ]);
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

describe.each(FAULTS)('%s at any file system call', (fault) => {
  test('leaves the previous or the new checkpoint, whole', async () => {
    const seen = new Set<string | undefined>();
    let finished = false;
    for (let at = 0; !finished; at++) {
      const parent = temporaryFolder();
      await writeFolder(parent, 'step-000001', files('one'));
      await setLatest(parent, 'step-000001');
      const fs = failingFs(at, fault);
      try {
        await writeFolder(parent, 'step-000002', files('two'), { fs });
        await setLatest(parent, 'step-000002', fs);
        await pruneFolders(parent, { keepLast: 1, fs });
      } catch {
        // What matters is what is on the disk.
      }
      finished = fs.calls <= at;
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

  test('leaves an overwritten folder as the old one or the new one, whole', async () => {
    const seen = new Set<string | undefined>();
    let finished = false;
    for (let at = 0; !finished; at++) {
      const parent = temporaryFolder();
      await writeFolder(parent, 'best', files('old'));
      const fs = failingFs(at, fault);
      const error = await writeFolder(parent, 'best', files('new'), { overwrite: true, fs }).then(
        () => null,
        (e: Error) => e,
      );
      finished = fs.calls <= at;
      if (error && /ENOSPC/.test(fault)) {
        expect(error.message).toMatch(
          /cannot save .*best \(16 B\): no space left on the device; what was saved before is untouched/,
        );
      }
      // A disk that failed once may be back: nothing has to be put right first.
      if (/ENOSPC|EIO/.test(fault)) expect(['old', 'new']).toContain(contents(join(parent, 'best')));
      const found = await readAsNewProcess(parent);
      expect(['old', 'new']).toContain(found);
      seen.add(found);
      expect(readdirSync(parent)).toEqual(['best']);
    }
    expect(seen.size).toBe(2);
  });
});

test('a second crash, while the leftovers of the first are cleared, loses nothing either', async () => {
  for (let at = 0, finished = false; !finished; at++) {
    for (let then = 0, cleared = false; !cleared; then++) {
      const parent = temporaryFolder();
      await writeFolder(parent, 'best', files('old'));
      const fs = failingFs(at, 'short write');
      await writeFolder(parent, 'best', files('new'), { overwrite: true, fs }).catch(() => {});
      finished = fs.calls <= at;
      const clearing = failingFs(then, 'crash');
      await removeLeftovers(parent, clearing).catch(() => {});
      cleared = clearing.calls <= then;
      expect(['old', 'new']).toContain(await readAsNewProcess(parent));
    }
  }
});

test('a model that was kept beside the steps is none of them, also where none of them is sound', async () => {
  const parent = temporaryFolder();
  for (const name of ['finished-10', 'step-9']) await writeFolder(parent, name, files('10'));
  expect(await latestFolder(parent, { only: /^step-/ })).toBe('step-9');
  writeFileSync(join(parent, 'step-9', 'model.bin'), '');
  expect(await latestFolder(parent)).toBe('finished-10');
  expect(await latestFolder(parent, { only: /^step-/ })).toBeUndefined();
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
  await setLatest(parent, 'step-200');
  expect(await latestFolder(parent)).toBe('step-10');
  for (const step of [9, 10]) rmSync(join(parent, `step-${step}`, MANIFEST));
  expect(await latestFolder(parent)).toBeUndefined();
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
      'its sizes',
      (f) => writeFileSync(join(f, MANIFEST), '{"format":1,"files":{"model.bin":null}}'),
      /model\.bin has 3 bytes instead of undefined/,
    ],
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
    // Sums cost time: without them, what does not match is not seen.
    if (/SHA/.test(message.source)) expect(await folderProblem(folder)).toBeUndefined();
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
  expect(await pruneFolders(parent, { keepLast: 2 })).toEqual(['other', 'step-2']);
  expect(readdirSync(parent).sort()).toEqual(['latest', 'step-10', 'step-11', 'step-3']);
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

test('a folder may be written with leave to overwrite where there is none, and over what an earlier attempt left', async () => {
  const parent = temporaryFolder();
  await writeFolder(parent, 'best', files('first'), { overwrite: true });
  for (const kind of ['old', 'tmp']) {
    mkdirSync(join(parent, `.best.${kind}-${process.pid}`));
    writeFileSync(join(parent, `.best.${kind}-${process.pid}`, 'x'), 'left');
  }
  await writeFolder(parent, 'best', files('second'), { overwrite: true });
  expect(contents(join(parent, 'best'))).toBe('second');
  expect(readdirSync(parent)).toEqual(['best']);
});

test('names that lead elsewhere are refused', async () => {
  const parent = temporaryFolder();
  for (const bad of ['', '.', '..', '../a', 'a/b', '.hidden', 'latest', MANIFEST]) {
    await expect(writeFolder(parent, bad, {})).rejects.toThrow(/cannot name/);
    await expect(writeFolder(parent, 'a', { [bad]: '' })).rejects.toThrow(/cannot name/);
  }
  expect(readdirSync(parent)).toEqual([]);
});
