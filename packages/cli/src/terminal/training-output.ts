/** @file The output of `blt train`: lines for people, or with --json one JSON object a line for machines. */
import { printableMessage } from './errors.ts';
import { quiet, sayJson } from './output.ts';
import { StatusLine } from './progress.ts';

/** Something that happened, for machines: `event` says what. */
export interface TrainingEvent {
  readonly event: string;
  readonly [key: string]: unknown;
}

/** Receives the lines and events of a run. */
export interface TrainingOutput {
  /** A line that stays. */
  say(line: string, event?: TrainingEvent): void;
  /** The status of the moment. On a terminal it replaces the former. */
  status(line: string, event: TrainingEvent): void;
  /** Ends the status line. */
  finish(): void;
  /** Takes the status line away. */
  drop(): void;
}

/** Lines on stdout; plain ones where that is no terminal. */
class TextOutput implements TrainingOutput {
  private readonly line = new StatusLine(process.stdout);

  say(line: string): void {
    // Names of files and runs may hold control characters.
    this.line.log(printableMessage(line));
  }
  status(line: string): void {
    if (!quiet()) this.line.show(printableMessage(line));
  }
  finish(): void {
    this.line.finish();
  }
  drop(): void {
    this.line.drop();
  }
}

/** Every event as a line of JSON. What is not finite is null there. */
class JsonOutput implements TrainingOutput {
  say(line: string, event: TrainingEvent = { event: 'message', text: line }): void {
    sayJson(event);
  }
  status(_: string, event: TrainingEvent): void {
    sayJson(event);
  }
  finish(): void {}
  drop(): void {}
}

export const trainingOutput = (json: boolean): TrainingOutput => (json ? new JsonOutput() : new TextOutput());
