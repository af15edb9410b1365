/** @file The programs of threads: modules that begin their work when they are loaded. */
import type { ThreadName } from '../threads/own-thread.ts';

const PROGRAMS: Readonly<Record<ThreadName, () => Promise<unknown>>> = {
  memory: () => import('../training/memory-worker.ts'),
  compression: () => import('../compression/compression-worker.ts'),
  passes: () => import('../training/pass-thread.ts'),
  serve: () => import('../serve/lane-worker.ts'),
};

/** Becomes the thread of that name. */
export const runThread = (name: ThreadName): Promise<unknown> => PROGRAMS[name]();
