/** @file One process at a time in a run's folder: a file with the writer's process id, given up when that process is gone. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import * as z from 'zod';
import { errorCode, reason, UserError } from './errors.ts';

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
    try {
      await writeFile(own, text);
      for (let attempt = 0; ; attempt++) {
        // A link comes to be whole, with its content, or not at all.
        if (await linked(own, path)) {
          if (attempt === 0) return new RunLock(path, text);
          // Others may be taking the same stale lock away: it is ours if it is still ours when they are done.
          await setTimeout(100);
          if ((await readFile(path, 'utf8').catch(() => null)) === text) return new RunLock(path, text);
        }
        const found = await readFile(path, 'utf8').catch(() => null);
        if (found === null) continue;
        const holder = parseOwner(found);
        if (holder && isAlive(holder)) throw new UserError(refusal(folder, holder));
        if (attempt > 10) throw new UserError(`cannot lock ${folder}: ${path} comes back; delete it by hand`);
        await takeAway(path, found);
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(`cannot lock ${folder}: ${reason(error)}`, 1, { cause: error });
    } finally {
      await rm(own, { force: true }).catch(() => {});
    }
  }

  /** Gives the folder free, unless somebody has taken the lock by hand meanwhile. */
  async release(): Promise<void> {
    if ((await readFile(this.path, 'utf8').catch(() => '')) === this.text) await rm(this.path, { force: true });
  }
}

/** Who trains in the folder now; null if nobody does. */
export async function lockOwner(folder: string): Promise<LockOwner | null> {
  const text = await readFile(join(folder, LOCK), 'utf8').catch(() => null);
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
    // File systems without hard links: an exclusive write, which a crash may leave empty (and then stale).
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'].includes(errorCode(error) ?? '')) {
      const text = await readFile(from);
      return writeFile(to, text, { flag: 'wx' }).then(
        () => true,
        (e) => {
          if (errorCode(e) === 'EEXIST') return false;
          throw e;
        },
      );
    }
    throw error;
  }
}

/** Removes a stale lock, but not one that another process has put in its place a moment ago. */
async function takeAway(path: string, stale: string): Promise<void> {
  const aside = `${path}.stale-${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8').catch(() => stale)) !== stale) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
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
function isAlive({ pid, host, began }: LockOwner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, but belongs to someone else.
    if (errorCode(error) !== 'EPERM') return false;
  }
  const now = processStart(pid);
  return began === null || now === null || began === now;
}

/** Linux: ticks since boot at which a process began, with the boot's id; null elsewhere. */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command, in parentheses, may hold spaces; the start time is field 22 of all, 20 after it.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().slice(0, 8)}-${ticks}`;
  } catch {
    return null;
  }
}
