/** @file The status line of training. */
import { clearLine, cursorTo } from 'node:readline';
import { sgr, type TerminalLike, usesColor } from './color.ts';
import { fixed, humanBytes } from './human-units.ts';

/** One moment of a training run. Left out = unknown, and not shown. */
export interface StepStatus {
  step: number;
  /** Planned steps; unknown when a time budget decides. */
  steps?: number;
  /** Mean cross-entropy per predicted token (specials included), in nats. */
  lossNats: number;
  /** Bits per byte of text of this step. Specials cost, but are not counted as bytes. */
  bitsPerByte?: number;
  /** Latest held-out bits per byte, a quick evaluation. */
  heldOutBitsPerByte?: number;
  /** Mean bytes per patch. */
  patchSizeMean?: number;
  bytesPerSecond?: number;
  gradNorm?: number;
  etaSeconds?: number;
}

/** Time left, coarsely: `45s`, `6m`, `2h 05m`. */
export function formatEta(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}

/** `step 120/2000  loss 1.842 nats  2.66 bpb  val 2.71  patch 4.3 B  18.2 kB/s  grad 0.81  eta 6m` */
export function formatStatus(status: StepStatus): string {
  const parts = [
    status.steps === undefined ? `step ${status.step}` : `step ${status.step}/${status.steps}`,
    `loss ${fixed(status.lossNats, 3)} nats`,
  ];
  if (status.bitsPerByte !== undefined) parts.push(`${fixed(status.bitsPerByte, 2)} bpb`);
  if (status.heldOutBitsPerByte !== undefined) parts.push(`val ${fixed(status.heldOutBitsPerByte, 2)}`);
  if (status.patchSizeMean !== undefined) parts.push(`patch ${fixed(status.patchSizeMean, 1)} B`);
  if (status.bytesPerSecond !== undefined) parts.push(`${humanBytes(status.bytesPerSecond)}/s`);
  if (status.gradNorm !== undefined) parts.push(`grad ${fixed(status.gradNorm, 2)}`);
  if (status.etaSeconds !== undefined) parts.push(`eta ${formatEta(status.etaSeconds)}`);
  return parts.join('  ');
}

/** Cuts to `columns` characters, the last one an ellipsis; a status line that wraps cannot be erased. */
export function fitColumns(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

export interface StatusLineOptions {
  /** Seconds between lines where there is no terminal. Default 10. */
  everySeconds?: number;
  /** Seconds between repaints of the terminal's line. Default 0.1. */
  repaintSeconds?: number;
  /** Clock in milliseconds, for tests. */
  now?: () => number;
  env?: NodeJS.ProcessEnv;
}

/**
 * On a terminal: one line, repainted in place. Elsewhere (file, pipe, CI): a plain line, at most one every `everySeconds`, and
 * always the last one.
 */
export class StatusLine {
  readonly #stream: TerminalLike;
  readonly #isTerminal: boolean;
  readonly #color: boolean;
  readonly #gap: number;
  readonly #now: () => number;
  #last = Number.NEGATIVE_INFINITY;
  #shown = '';
  #pending = '';

  constructor(stream: TerminalLike, options: StatusLineOptions = {}) {
    this.#stream = stream;
    this.#isTerminal = stream.isTTY === true && (options.env ?? process.env).TERM !== 'dumb';
    this.#color = usesColor(stream, options.env);
    this.#gap = 1000 * (this.#isTerminal ? (options.repaintSeconds ?? 0.1) : (options.everySeconds ?? 10));
    this.#now = options.now ?? (() => performance.now());
  }

  /** Shows the status now, or keeps it for `finish` if the last one was shown too recently. */
  update(status: StepStatus): void {
    this.show(formatStatus(status));
  }

  /** Shows any text as `update` shows a status, e.g. `entropy model: scoring held-out bytes`. */
  show(line: string): void {
    this.#pending = line;
    if (this.#now() - this.#last < this.#gap) return;
    this.#paint();
  }

  /** A line that stays, above the status line. */
  log(line: string): void {
    if (this.#isTerminal && this.#shown !== '') this.#erase();
    this.#stream.write(`${line}\n`);
    if (this.#isTerminal && this.#shown !== '') this.#stream.write(this.#shown);
  }

  /** Shows the latest status and ends the line. Later updates start a new one. */
  finish(): void {
    if (this.#pending !== '') this.#paint();
    if (this.#isTerminal && this.#shown !== '') this.#stream.write('\n');
    this.#shown = '';
    this.#last = Number.NEGATIVE_INFINITY;
  }

  /** Takes the status away: what comes next says all that it said. */
  drop(): void {
    this.#pending = '';
    if (this.#isTerminal && this.#shown !== '') this.#erase();
    this.#shown = '';
    this.#last = Number.NEGATIVE_INFINITY;
  }

  #paint(): void {
    this.#last = this.#now();
    const line = this.#pending;
    this.#pending = '';
    if (!this.#isTerminal) {
      this.#stream.write(`${line}\n`);
      return;
    }
    // The last column stays free: writing there makes some terminals wrap.
    const fitted = fitColumns(line, Math.max(1, (this.#stream.columns || 80) - 1));
    this.#shown = this.#color ? fitted.replace(/^step \S+/, (found) => sgr('1', found)) : fitted;
    this.#erase();
    this.#stream.write(this.#shown);
  }

  #erase(): void {
    cursorTo(this.#stream as NodeJS.WritableStream, 0);
    clearLine(this.#stream as NodeJS.WritableStream, 0);
  }
}
