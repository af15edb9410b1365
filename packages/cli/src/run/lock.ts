/** @file One process at a time in a run's folder: a file with the writer's process id, given up when that process is gone. */
import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import * as z from 'zod';
import { isRunning, processStart } from '../files/processes.ts';
import { readSmallFile } from '../files/small-file.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

export const LOCK = 'lock.json';

const ownerSchema = z.strictObject({
  pid: z.int().min(1),
  host: z.string().max(255),
  /** When the process began, as the system counts it: tells it from a later one that was given the same id. Null where unknown. */
  began: z.string().max(64).nullable(),
  since: z.string().max(64),
  /** Tells two holds of one process apart. */
  token: z.string().max(64),
});
export type LockOwner = z.infer<typeof ownerSchema>;

/** A held lock. */
export class RunLock {
  private readonly path: string;
  private readonly text: string;

  private constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  /** @throws UserError (exit code 1) naming the process that has the run */
  static async acquire(folder: string): Promise<RunLock> {
    const path = join(folder, LOCK);
    const owner: LockOwner = {
      pid: process.pid,
      host: hostname(),
      began: processStart(process.pid),
      since: new Date().toISOString(),
      token: randomUUID(),
    };
    const text = `${JSON.stringify(owner)}\n`;
    const own = `${path}.tmp-${process.pid}-${owner.token.slice(0, 8)}`;
    const stuck = `cannot lock ${folder}: ${path}, or one of its .claim- files, stays or comes back; delete it by hand`;
    try {
      await writeFile(own, text);
      for (let attempt = 0; ; attempt++) {
        // A link comes to be whole, with its content, or not at all.
        if (await linked(own, path)) return new RunLock(path, text);
        if (attempt > 30) throw new UserError(stuck);
        const found = await textOf(path);
        if (found === null) {
          await setTimeout(10);
          continue;
        }
        const holder = parseOwner(found);
        if (holder && isAlive(holder)) throw new UserError(refusal(folder, holder));
        // Where there are no hard links, its owner may be about to write it.
        if (!holder) await setTimeout(UNWRITTEN);
        await alone(folder, own, owner.token, text, async () => {
          if ((await textOf(path)) === found) await rm(path, { force: true });
        });
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(`cannot lock ${folder} (${LOCK}): ${reason(error)}`, 1, { cause: error });
    } finally {
      await rm(own, { force: true }).catch(() => {});
    }
  }

  /** Gives the folder free, unless somebody has taken the lock by hand meanwhile. */
  async release(): Promise<void> {
    if ((await textOf(this.path).catch(() => '')) === this.text) await rm(this.path, { force: true });
  }
}

/** The process that trains in the folder now; null if none does. */
export async function lockOwner(folder: string): Promise<LockOwner | null> {
  const text = await textOf(join(folder, LOCK)).catch(() => null);
  const owner = text === null ? null : parseOwner(text);
  return owner && isAlive(owner) ? owner : null;
}

/** Gives a file a second name, unless that is taken. @returns whether it was free   @param hardLink tests pass one that fails */
export async function linked(from: string, to: string, hardLink = link): Promise<boolean> {
  try {
    await hardLink(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    // File systems without hard links: an exclusive write, which a crash may leave empty (and then stale). Whoever saw it empty removes
    // it a moment later; so it is ours if it is still ours after that.
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'].includes(errorCode(error) ?? '')) {
      const text = await readFile(from);
      try {
        await writeFile(to, text, { flag: 'wx' });
      } catch (e) {
        if (errorCode(e) === 'EEXIST') return false;
        throw e;
      }
      await setTimeout(2 * UNWRITTEN);
      return (await textOf(to)) === text.toString();
    }
    throw error;
  }
}

/** Milliseconds for which a lock that says nothing may be one that is being written. */
const UNWRITTEN = 200;
const CLAIM = `${LOCK}.claim-`;
/** Milliseconds after which the claim of another machine, which cannot be asked, is one that it left behind. */
const CLAIM_LIVES = 60_000;
const MAX_LOCK_BYTES = 4096;

/** Text of a file; null if there is none. */
async function textOf(path: string): Promise<string | null> {
  try {
    return readSmallFile(path, MAX_LOCK_BYTES);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Runs `f` while no other process does, or not at all if another is at it. Only in `f` may a lock be removed that is not one's own:
 * the owner of a stale lock is gone, so what `f` reads there nobody else changes before `f` has removed it.
 *
 * Each puts down a claim, a file of a name that nobody will use again, and then looks for others': of two, the later to look sees the
 * other. The least token waits until it is alone, all others withdraw. A claim whose process is gone counts for nothing.
 */
async function alone(folder: string, own: string, token: string, text: string, f: () => Promise<void>): Promise<void> {
  const mine = `${CLAIM}${token}`;
  const path = join(folder, mine);
  try {
    // Whole at once, as everything that others read.
    await writeFile(`${own}-claim`, text);
    await rename(`${own}-claim`, path);
    for (let looks = 0; ; looks++) {
      const others = await liveClaims(folder, mine);
      if (others.length === 0) return await f();
      if (others.some((other) => other < mine) || looks > 100) break;
      await setTimeout(2);
    }
  } finally {
    await rm(path, { force: true });
  }
  await setTimeout(10);
}

/** Milliseconds since a file was written; none if it is gone. */
const ageOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );

/** The names of others' claims. What processes that are gone have left is removed. */
async function liveClaims(folder: string, mine: string): Promise<string[]> {
  const live: string[] = [];
  for (const name of await readdir(folder)) {
    if (name === mine || !name.startsWith(`${LOCK}.`)) continue;
    const path = join(folder, name);
    let gone: boolean;
    if (name.startsWith(CLAIM)) {
      const text = await textOf(path);
      if (text === null) continue;
      const owner = parseOwner(text);
      const abroad = owner !== null && owner.host !== hostname();
      gone = owner === null || !isAlive(owner) || (abroad && (await ageOf(path)) > CLAIM_LIVES);
      if (!gone) live.push(name);
    } else {
      const [, pid] = /\.tmp-(\d+)-/.exec(name) ?? [];
      gone = pid !== undefined && !isAlive({ pid: Number(pid), host: hostname(), began: null });
    }
    if (gone) await rm(path, { force: true });
  }
  return live;
}

function refusal(folder: string, { pid, host, since }: LockOwner): string {
  const where = host === hostname() ? `process ${pid}` : `process ${pid} on ${host}`;
  const fix =
    host === hostname()
      ? `wait, or stop it: kill ${pid}`
      : `if it is not running there any more, delete ${join(folder, LOCK)}`;
  return `${folder} is being trained by ${where} since ${since}; ${fix}`;
}

function parseOwner(text: string): LockOwner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A process on another machine cannot be asked: it counts as alive. */
function isAlive({ pid, host, began }: Pick<LockOwner, 'pid' | 'host' | 'began'>): boolean {
  if (host !== hostname()) return true;
  if (!isRunning(pid)) return false;
  const now = processStart(pid);
  return began === null || now === null || began === now;
}
