/** @file metrics.jsonl of a run: one line for each step and each evaluation. */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readSmallFile } from '../files/small-file.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

/** A line has some 300 bytes, and a string of V8 holds 512 MiB. */
const MAX_METRICS_BYTES = 500_000_000;

/** One line of metrics.jsonl. Units are in the names; a value that is not finite is written as null, as JSON has no NaN. */
export interface MetricsRecord {
  /** Optimiser steps done. */
  step: number;
  /** Bytes of training text seen so far, repeats counted and specials (BOS, EOS) left out. */
  bytes: number;
  /** Targets of this step, specials included: what lossNats is the mean over. */
  targets?: number | null;
  /** Mean cross-entropy per target of this step, nats; what training minimises. Not bits per byte in other units, because specials are targets. */
  lossNats?: number | null;
  /** lossNats * targets / (ln 2 * bytes of text in this step); null if the step had none. */
  bitsPerByte?: number | null;
  /** A quick evaluation: rows without overlap, on a sample of the held-out bytes. The full one is in evaluation.json. */
  heldOutBitsPerByte?: number | null;
  /** Bytes of training text / patches, those that hold nothing but BOS included. */
  patchSizeMean?: number | null;
  /** Bytes of text, specials left out. */
  bytesPerSecond?: number | null;
  gradNorm?: number | null;
  learningRate?: number | null;
  seconds?: number | null;
  flops?: number | null;
  [key: string]: unknown;
}

/**
 * Appends to a metrics.jsonl, one write call a line, so that a crash can tear the last line only. Opening mends a torn one, and
 * with `resumeStep` drops what the interrupted run wrote after that step (with `resumeEvaluated: false` also that step's own
 * evaluation, which is to be done again): the lines then read as those of one run.
 */
export class MetricsFile {
  readonly path: string;
  #fd: number | undefined;

  /** @throws UserError if the file cannot be opened, or is no metrics file */
  constructor(path: string, options: { resumeStep?: number; resumeEvaluated?: boolean } = {}) {
    this.path = path;
    try {
      if (options.resumeStep !== undefined && existsSync(path))
        dropAfter(path, options.resumeStep, options.resumeEvaluated ?? true);
      // Not 'a+': on Windows a file opened for appending cannot be cut.
      this.#fd = openSync(path, existsSync(path) ? 'r+' : 'wx+');
      cutTornLine(this.#fd);
    } catch (error) {
      this.close();
      if (error instanceof UserError) throw error;
      throw new UserError(`cannot write ${path}: ${reason(error)}`, 1, { cause: error });
    }
  }

  append(record: MetricsRecord): void {
    if (this.#fd === undefined) throw new Error(`${this.path} is closed`);
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    let written: number;
    try {
      written = writeSync(this.#fd, line, 0, line.length, fstatSync(this.#fd).size);
    } catch (error) {
      throw new UserError(`cannot write ${this.path}: ${reason(error)}`, 1, { cause: error });
    }
    if (written !== line.length)
      throw new UserError(`cannot write ${this.path}: only ${written} of ${line.length} bytes fit`);
  }

  /** Waits until the lines are on the disk. Call it before a checkpoint is declared complete. */
  sync(): void {
    if (this.#fd !== undefined) fsyncSync(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Cuts the file behind its last newline. */
function cutTornLine(fd: number): void {
  const chunk = Buffer.alloc(4096);
  let end = fstatSync(fd).size;
  while (end > 0) {
    const from = Math.max(0, end - chunk.length);
    const count = readSync(fd, chunk, 0, end - from, from);
    const newline = chunk.subarray(0, count).lastIndexOf(0x0a);
    if (newline !== -1) {
      ftruncateSync(fd, from + newline + 1);
      return;
    }
    end = from;
  }
  ftruncateSync(fd, 0);
}

/** Rewrites the file, through a temporary one, with the lines up to and including `step`. */
function dropAfter(path: string, step: number, evaluated: boolean): void {
  const kept = readMetrics(path).filter(
    (record) => record.step < step || (record.step === step && (evaluated || record.heldOutBitsPerByte === undefined)),
  );
  const temporary = `${path}.tmp-${process.pid}`;
  const fd = openSync(temporary, 'w');
  try {
    writeFileSync(fd, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * All records of a metrics.jsonl. A last line without a newline, left by a crash, is ignored; a missing file gives [].
 * @throws UserError naming a line before the last that is no record
 */
export function readMetrics(path: string): MetricsRecord[] {
  let text: string;
  try {
    text = readSmallFile(path, MAX_METRICS_BYTES);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
  }
  return parseMetrics(text, path);
}

/** The records in the text of a metrics.jsonl. @throws UserError as `readMetrics` does */
export function parseMetrics(text: string, path: string): MetricsRecord[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  // What follows the last newline is empty, or torn.
  lines.pop();
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    const record = parseRecord(line);
    if (!record) throw new UserError(`${path} line ${index + 1} is not a metrics record; mend or delete that line`);
    return [record];
  });
}

const FIGURES = [
  'targets',
  'lossNats',
  'bitsPerByte',
  'heldOutBitsPerByte',
  'patchSizeMean',
  'bytesPerSecond',
  'gradNorm',
  'learningRate',
  'seconds',
  'flops',
];

function parseRecord(line: string): MetricsRecord | undefined {
  try {
    const value = JSON.parse(line) as Partial<MetricsRecord> | null;
    const isFigure = (key: string) => value![key] == null || typeof value![key] === 'number';
    if (typeof value?.step === 'number' && typeof value.bytes === 'number' && FIGURES.every(isFigure)) {
      return value as MetricsRecord;
    }
  } catch {
    // Reported by the caller, who knows the line number.
  }
  return undefined;
}
