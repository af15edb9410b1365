/** @file Other processes of this machine: whether one still runs, and since when. */
import { readFileSync } from 'node:fs';
import { errorCode } from '../terminal/errors.ts';

/** Fields of /proc/PID/stat from the third on (the state); null where there is no such file. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command, in parentheses, may hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/**
 * Whether a process does anything any more. A zombie does not: it has ended, and its parent has not asked for its exit code, which
 * in a container without an init process nobody ever does.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, but belongs to someone else.
    if (errorCode(error) !== 'EPERM') return false;
  }
  const state = statFields(pid)?.[0];
  return state !== 'Z' && state !== 'X' && state !== 'x';
}

/** Linux: ticks since boot at which a process began (field 22 of its stat), with the boot's id; null elsewhere. */
export function processStart(pid: number): string | null {
  try {
    const ticks = statFields(pid)?.[19];
    if (ticks === undefined) return null;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().slice(0, 8)}-${ticks}`;
  } catch {
    return null;
  }
}
