/** @file Output that cannot be written any more: its reader has gone (`blt runs | head -1`), or the disk behind `> file` is full. */
import { errorCode, reason } from './errors.ts';
import { complain } from './output.ts';

/** Exit code that a shell reports for a process ended by SIGPIPE. */
const READER_GONE = 141;

/** Why output failed, and the exit code for work that it cuts short. */
export interface BrokenOutput {
  readonly why: string;
  readonly exitCode: number;
}

let savesFirst: ((broken: BrokenOutput) => void) | null = null;

/** Call once at the start: without it a closed pipe ends the process with a stack trace. */
export function watchOutput(): void {
  process.stdout.on('error', (error) => {
    const gone = errorCode(error) === 'EPIPE';
    const why = gone ? 'nobody reads the output any more' : `cannot write the output: ${reason(error)}`;
    if (savesFirst) return savesFirst({ why, exitCode: gone ? READER_GONE : 1 });
    // `head` has all it wanted: that is no failure.
    if (gone) process.exit(0);
    complain(why);
    process.exit(1);
  });
  // Whom could one tell?
  process.stderr.on('error', () => {});
}

/** Lets work in progress be saved instead of ending at once; null takes that back. */
export function onBrokenOutput(handler: ((broken: BrokenOutput) => void) | null): void {
  savesFirst = handler;
}
