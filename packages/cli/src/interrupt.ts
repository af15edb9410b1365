/** @file What ends training early but in order: signals, and output that nobody reads or the disk does not take. */
import { onBrokenOutput } from './broken-output.ts';

/** Exit codes as shells report them: 128 + the signal's number. SIGHUP: the terminal was closed; Node heeds it even under nohup. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof SIGNALS;

export interface Stop {
  /** In words, and the signal's name if it was one. */
  readonly why: string;
  readonly signal: Signal | null;
  readonly exitCode: number;
}

/** Asks to stop after the step in progress; the second signal ends the process at once. */
export class Interrupt {
  stop: Stop | null = null;

  private readonly handler = (signal: Signal) => {
    if (this.stop?.signal) process.exit(SIGNALS[signal]);
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
