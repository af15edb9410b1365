/**
 * @file Threads of this program. The built command is one file, which is the program of its threads too: a copy of that file alone works.
 * `blt.ts` runs what a thread was started for in place of the command.
 */
import { type ResourceLimits, Worker, workerData } from 'node:worker_threads';

/** The work of a thread: a name in `command-line/thread-programs.ts`. */
export type ThreadName = 'memory' | 'compression' | 'serve' | 'passes';

/** How a thread is told what it is for. */
interface ThreadStart {
  readonly bltThread: ThreadName;
  readonly data: unknown;
}

/** Put in by scripts/build.mjs: these lines are part of the built command. */
declare const BLT_COMMIT: string | undefined;

/** The built command. Beside the sources there is none, and a thread then fails by this name. */
const PROGRAM = typeof BLT_COMMIT === 'string' ? new URL(import.meta.url) : new URL('./blt.js', import.meta.url);

/** Starts a thread. That it fails comes as its event `error`. @param resourceLimits of its JavaScript memory */
export const startThread = (name: ThreadName, data: unknown, resourceLimits?: ResourceLimits): Worker =>
  new Worker(PROGRAM, {
    workerData: { bltThread: name, data } satisfies ThreadStart,
    name: `blt ${name}`,
    resourceLimits,
  });

const start = workerData as Partial<ThreadStart> | null;

/** The work of this thread; undefined in the main thread. */
export const threadName: ThreadName | undefined = start?.bltThread;

/** The data that this thread was started with. */
export const threadData = (): unknown => start?.data;
