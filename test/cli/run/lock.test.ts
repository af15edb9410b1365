import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LOCK, linked, lockOwner, RunLock } from '../../../packages/cli/src/run/lock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A process that has surely ended: Linux and macOS give out no such id. */
const DEAD_PID = 2 ** 30;
const owner = (over: object) =>
  JSON.stringify({
    pid: process.pid,
    host: hostname(),
    began: null,
    since: '2026-01-01T00:00:00Z',
    token: 'x',
    ...over,
  });

test('one holder at a time; the second is told who it is; afterwards the folder is free', async () => {
  const folder = temporaryFolder();
  expect(await lockOwner(folder)).toBe(null);
  const lock = await RunLock.acquire(folder);
  expect((await lockOwner(folder))?.pid).toBe(process.pid);
  await expect(RunLock.acquire(folder)).rejects.toThrow(
    new RegExp(`being trained by process ${process.pid} since .*; wait, or stop it: kill ${process.pid}$`),
  );
  await lock.release();
  expect(existsSync(join(folder, LOCK))).toBe(false);
  await (await RunLock.acquire(folder)).release();
});

test.each([
  ['a dead process', owner({ pid: DEAD_PID })],
  ['a process that got the id of a dead one', owner({ began: 'boot-1' })],
  ['a writer that crashed', ''],
  ['nobody sensible', '{"pid":"many"}'],
])('the lock of %s is taken over', async (_, text) => {
  const folder = temporaryFolder({ [LOCK]: text });
  const lock = await RunLock.acquire(folder);
  expect(JSON.parse(readFileSync(join(folder, LOCK), 'utf8')).pid).toBe(process.pid);
  await lock.release();
  expect(existsSync(join(folder, LOCK))).toBe(false);
});

const linux = process.platform === 'linux';
test.runIf(linux)('the lock says when its process began, so that a later one with its id is told apart', async () => {
  const folder = temporaryFolder();
  const lock = await RunLock.acquire(folder);
  // Field 22; the second, in parentheses, may hold spaces.
  const [, rest] = /^\d+ \(.*\) (.*)$/s.exec(readFileSync('/proc/self/stat', 'latin1'))!;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
  expect((await lockOwner(folder))!.began).toBe(`${boot.slice(0, 8)}-${rest.split(' ')[22 - 3]}`);
  await lock.release();
});

test('a process on another machine cannot be asked, so it is believed', async () => {
  const folder = temporaryFolder({ [LOCK]: owner({ host: 'elsewhere', pid: DEAD_PID }) });
  await expect(RunLock.acquire(folder)).rejects.toThrow(/on elsewhere.*if it is not running there any more, delete/);
});

test('of many who find a stale lock at once, one gets it', async () => {
  for (let round = 0; round < 20; round++) {
    const folder = temporaryFolder({ [LOCK]: owner({ pid: DEAD_PID }) });
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => RunLock.acquire(folder)));
    expect(outcomes.filter((o) => o.status === 'fulfilled').length).toBe(1);
    for (const o of outcomes) {
      if (o.status === 'rejected') expect(o.reason.message).toMatch(/being trained by process \d+ since/);
    }
    expect(readdirSync(folder)).toEqual([LOCK]);
  }
});

test('what a takeover meets of others: claims of the living wait, those of the dead and the long gone are removed', async () => {
  const dead = owner({ pid: DEAD_PID });
  const folder = temporaryFolder({
    [LOCK]: dead,
    [`${LOCK}.claim-00`]: dead,
    [`${LOCK}.claim-01`]: owner({ host: 'elsewhere' }),
    [`${LOCK}.claim-02`]: 'nothing sensible',
    [`${LOCK}.tmp-${DEAD_PID}-ab`]: dead,
    'other.json': '{}',
  });
  const old = Date.now() / 1000 - 3600;
  utimesSync(join(folder, `${LOCK}.claim-01`), old, old);
  await (await RunLock.acquire(folder)).release();
  expect(readdirSync(folder)).toEqual(['other.json']);
});

test('a claim that stays, or a lock that cannot be read, ends in an error that says what to delete', async () => {
  const claimed = temporaryFolder({
    [LOCK]: owner({ pid: DEAD_PID }),
    [`${LOCK}.claim-00`]: owner({ host: 'elsewhere' }),
  });
  const folder = temporaryFolder({});
  mkdirSync(join(folder, LOCK));
  const dangling = temporaryFolder({});
  symlinkSync(join(dangling, 'none'), join(dangling, LOCK));
  await Promise.all([
    expect(RunLock.acquire(claimed)).rejects.toThrow(
      /lock\.json, or one of its \.claim- files, stays.*delete it by hand/,
    ),
    expect(RunLock.acquire(folder)).rejects.toThrow(/cannot lock .* \(lock\.json\): it is a folder/),
    expect(RunLock.acquire(dangling)).rejects.toThrow(/stays or comes back; delete it by hand/),
  ]);
});

test('a lock replaced by hand is not removed', async () => {
  const folder = temporaryFolder();
  const lock = await RunLock.acquire(folder);
  writeFileSync(join(folder, LOCK), owner({ host: 'elsewhere' }));
  await lock.release();
  expect(existsSync(join(folder, LOCK))).toBe(true);
});

describe('where there are no hard links', () => {
  const without = (code: string) => async () => {
    throw Object.assign(new Error(code), { code });
  };
  test.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'])(
    '(%s) the first to write has the lock',
    async (code) => {
      const folder = temporaryFolder({ own: 'mine', other: 'theirs' });
      expect(await linked(join(folder, 'own'), join(folder, LOCK), without(code))).toBe(true);
      expect(await linked(join(folder, 'other'), join(folder, LOCK), without(code))).toBe(false);
      expect(readFileSync(join(folder, LOCK), 'utf8')).toBe('mine');
    },
  );
  test('a lock that was taken away while it was still empty is not held', async () => {
    const folder = temporaryFolder({ own: 'mine' });
    const held = linked(join(folder, 'own'), join(folder, LOCK), without('EPERM'));
    while (!existsSync(join(folder, LOCK))) await new Promise((resolve) => setTimeout(resolve, 1));
    writeFileSync(join(folder, LOCK), 'theirs');
    expect(await held).toBe(false);
  });
  test('other failures are failures', async () => {
    const folder = temporaryFolder({ own: 'mine' });
    await expect(linked(join(folder, 'own'), join(folder, LOCK), without('EIO'))).rejects.toThrow('EIO');
    await expect(linked(join(folder, 'own'), join(folder, 'none', LOCK), without('EPERM'))).rejects.toThrow('ENOENT');
  });
});
