/**
 * @file The one exit for text to the terminal. Names of files, folders and tensors come from strangers, and a terminal obeys what is
 * written to it; so everything that leaves here has its control characters shown instead of sent.
 */
import { fstatSync } from 'node:fs';
import { printableMessage } from './errors.ts';

let isQuiet = false;

/** With --quiet: no notes and no progress. Results, warnings and errors stay. */
export function setQuiet(quiet: boolean): void {
  isQuiet = quiet;
}

export const quiet = (): boolean => isQuiet;

/** A line of the result, on standard output. */
export const say = (text: string): void => void process.stdout.write(`${printableMessage(text)}\n`);

/** A text that stays on one line: names of files may hold line breaks. */
export const oneLine = (text: string): string => text.replaceAll('\n', '\\n');

/** A line that our own code has coloured; whatever it quotes has been through `printable` or `printableMessage` already. */
export const sayColoured = (text: string): void => void process.stdout.write(`${text}\n`);

/** The result as one line of JSON, on standard output. Reading it back gives the same value. */
export const sayJson = (value: unknown): void => void process.stdout.write(`${printableJson(value)}\n`);

/** Cells of a table, with tabs between them, on standard output. A tab in a cell is shown. */
export const sayRow = (cells: readonly string[]): void =>
  void process.stdout.write(`${cells.map(printableMessage).join('\t')}\n`);

/** A line beside the result, on standard error; left out with --quiet. */
export function note(text: string): void {
  if (!isQuiet) process.stderr.write(`${printableMessage(text)}\n`);
}

/** Says that a pipe into standard input is not read, where somebody may have meant that it is. @param flag what reads it */
export function noteUnreadInput(flag: string): void {
  try {
    if (fstatSync(0).isFIFO()) note(`standard input is not read; ${flag} reads it`);
  } catch {
    // It is closed.
  }
}

/** Something the user should know of, on standard error. */
export const warn = (message: string): void =>
  void process.stderr.write(`${printableMessage(`warning: ${message}`)}\n`);

/** Why a command failed, on standard error. */
export const complain = (message: string): void =>
  void process.stderr.write(`${printableMessage(`blt: ${message}`)}\n`);

/** Complaints about some of several things, while the others have their turn. */
export class Complaints {
  /** The exit code that they lead to. */
  code: 0 | 1 = 0;

  readonly add = (message: string): void => {
    complain(message);
    this.code = 1;
  };
}

/** JSON with the characters escaped that a terminal would obey; JSON.stringify leaves those above 127 as they are. */
export const printableJson = (value: unknown): string =>
  (JSON.stringify(value) ?? 'null').replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    [...Array(char.length).keys()].map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );

/** Ends the process once standard output has taken what was written to it, whatever else still runs. */
export const exitWhenWritten = (): void => void process.stdout.write('', () => process.exit());
