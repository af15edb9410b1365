/** @file The programs of threads: modules that begin their work when they are loaded. */
import type { ThreadName } from './own-thread.ts';

const PROGRAMS: Readonly<Record<ThreadName, () => Promise<unknown>>> = {
  memory: () => import('../training/memory-worker.ts'),
  compression: () => import('./compression-worker.ts'),
};

/** Becomes the thread of that name. */
export const runThread = (name: ThreadName): Promise<unknown> => PROGRAMS[name]();
