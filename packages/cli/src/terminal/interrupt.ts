/** @file Causes that end training early but in order: signals, and output that nobody reads or the disk does not take. */
import { onBrokenOutput } from './broken-output.ts';
import { complain } from './output.ts';

/** Exit codes as shells report them: 128 + the signal's number. SIGHUP: the terminal was closed; Node heeds it even under nohup. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof SIGNALS;

/** The reason why a run is to stop. */
export interface Stop {
  /** In words, and the signal's name if it was one. */
  readonly why: string;
  readonly signal: Signal | null;
  readonly exitCode: number;
}

/** Signals within so many milliseconds are one: Ctrl-C reaches a wrapper (npm, npx, timeout) and us, and the wrapper passes it on. */
const SAME_SIGNAL = 500;

/** Asks to stop after the step in progress; a second signal ends the process at once. */
export class Interrupt {
  stop: Stop | null = null;
  private at = 0;

  private readonly handler = (signal: Signal) => {
    if (this.stop?.signal) {
      if (performance.now() - this.at < SAME_SIGNAL) return;
      process.exit(SIGNALS[signal]);
    }
    this.at = performance.now();
    this.stop = { why: `stopped by ${signal}`, signal, exitCode: SIGNALS[signal] };
  };

  constructor() {
    for (const signal of Object.keys(SIGNALS)) process.on(signal, this.handler);
    onBrokenOutput(({ why, exitCode }) => {
      this.stop ??= { why, signal: null, exitCode };
    });
  }

  dispose(): void {
    for (const signal of Object.keys(SIGNALS)) process.off(signal, this.handler);
    onBrokenOutput(null);
  }
}

/**
 * Ends the process at the first signal, with a sentence: for a time in which there is nothing to save yet. It dies of the signal itself,
 * because `process.exit` waits for a thread that opens a pipe to which nobody writes.
 * @param before is done first
 * @returns what ends this time
 */
export function endAtSignal(sentence: string, before: () => void = () => {}): () => void {
  const handler = (signal: Signal) => {
    before();
    complain(`stopped by ${signal}: ${sentence}`);
    end();
    if (process.platform === 'win32') process.exit(SIGNALS[signal]);
    process.kill(process.pid, signal);
  };
  const end = () => {
    for (const signal of Object.keys(SIGNALS)) process.off(signal, handler);
  };
  for (const signal of Object.keys(SIGNALS)) process.on(signal, handler);
  return end;
}
