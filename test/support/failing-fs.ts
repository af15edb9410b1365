/** @file A file system that fails at a chosen call: with an error, with half of the data written, or because the process died. */
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import type { FileSystem } from '../../packages/cli/src/files/synced-file.ts';

/**
 * crash: from that call on nothing happens any more, every call throws, as for a process that is dead.
 * short write: the same, but half of the data of that call reached the disk.
 * ENOSPC, EIO: that call alone fails, as for a disk that is full, or faulty, for a moment.
 * half, then ENOSPC: the disk was full in the middle of that write.
 */
export const FAULTS = ['crash', 'short write', 'ENOSPC', 'EIO', 'half, then ENOSPC'] as const;
export type Fault = (typeof FAULTS)[number];

export class Crash extends Error {}

/** The real file system but for the call number `at`; `calls` counts them. */
export function failingFs(at: number, fault: Fault): FileSystem & { calls: number } {
  const dies = fault === 'crash' || fault === 'short write';
  const state = { calls: 0 };
  const failure = (): Error => {
    if (dies) return new Crash('the process died');
    const code = fault === 'EIO' ? 'EIO' : 'ENOSPC';
    return Object.assign(new Error(`${code}: injected`), { code, syscall: 'write' });
  };
  const fails = (): boolean => {
    const call = state.calls++;
    return dies ? call >= at : call === at;
  };
  const guarded =
    <A extends unknown[], R>(run: (...args: A) => Promise<R>, partly?: (...args: A) => Promise<unknown>) =>
    async (...args: A): Promise<R> => {
      const first = state.calls === at;
      if (!fails()) return run(...args);
      if (first) await partly?.(...args);
      throw failure();
    };
  const open = async (...args: Parameters<typeof nodeFs.open>) => {
    if (fails()) throw failure();
    const handle = await nodeFs.open(...args);
    const write = (data: Uint8Array) => handle.writeFile(data);
    const half = (data: Uint8Array) => handle.writeFile(data.subarray(0, data.length >> 1));
    // The file is closed all the same: a dead process leaves none open.
    return {
      writeFile: guarded(write, fault === 'short write' || fault === 'half, then ENOSPC' ? half : undefined),
      sync: guarded(() => handle.sync()),
      close: () => handle.close(),
    };
  };
  const { mkdir, readdir, readFile, rename, rm, stat, lstat } = nodeFs;
  const calls = Object.fromEntries(
    Object.entries({ mkdir, readdir, readFile, rename, stat, lstat }).map(([name, call]) => [
      name,
      guarded(call as (...args: unknown[]) => Promise<unknown>),
    ]),
  );
  // A deletion that is interrupted has deleted something already.
  const partOf = async (path: string) => {
    const [inside] = await readdir(path).catch(() => []);
    if (inside) await rm(join(path, inside), { recursive: true, force: true });
  };
  const remove = guarded(rm as (...args: unknown[]) => Promise<unknown>, (path) => partOf(String(path)));
  return Object.assign(state, calls, { open, rm: remove }) as unknown as FileSystem & { calls: number };
}
