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
import { openRegular, textOf } from '../files/small-file.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 20;
/** A line has some 300 bytes. */
const MOST_LINE_BYTES = 2 ** 20;

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
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    writeRecords(temporary, path, (record) => {
      return record.step < step || (record.step === step && (evaluated || record.heldOutBitsPerByte === undefined));
    });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Writes the records of a file that are to be kept into another, and waits until they are on the disk. */
function writeRecords(to: string, from: string, isKept: (record: MetricsRecord) => boolean): void {
  const fd = openSync(to, 'w');
  let text = '';
  try {
    for (const record of metricsOf(from)) {
      if (isKept(record)) text += `${JSON.stringify(record)}\n`;
      if (text.length < CHUNK_BYTES) continue;
      writeFileSync(fd, text);
      text = '';
    }
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * All records of a metrics.jsonl. A last line without a newline, left by a crash, is ignored; a missing file gives [].
 * @throws UserError naming a line before the last that is no record
 */
export const readMetrics = (path: string): MetricsRecord[] => [...metricsOf(path)];

/** The same one after the other: the file of a long run is larger than a text can be. */
function* metricsOf(path: string): Generator<MetricsRecord> {
  let descriptor: number;
  try {
    ({ descriptor } = openRegular(path));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw cannotRead(path, error);
  }
  try {
    yield* recordsOf(chunksOf(descriptor, path), path);
  } finally {
    closeSync(descriptor);
  }
}

const cannotRead = (path: string, error: unknown): UserError =>
  new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });

function* chunksOf(descriptor: number, path: string): Generator<Uint8Array> {
  for (;;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    let count: number;
    try {
      count = readSync(descriptor, chunk, 0, chunk.length, null);
    } catch (error) {
      throw cannotRead(path, error);
    }
    if (count === 0) return;
    yield chunk.subarray(0, count);
  }
}

/** The records in the text of a metrics.jsonl. @throws UserError as `readMetrics` does */
export const parseMetrics = (text: string, path: string): MetricsRecord[] => [...recordsOf([Buffer.from(text)], path)];

/** The records in the chunks of a metrics.jsonl. Bytes behind the last newline are torn, and ignored. */
function* recordsOf(chunks: Iterable<Uint8Array>, path: string): Generator<MetricsRecord> {
  let number = 0;
  let rest: Uint8Array = new Uint8Array();
  const noRecord = () => new UserError(`${path} line ${number + 1} is not a metrics record; mend or delete that line`);
  for (const chunk of chunks) {
    const bytes = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
      const line = textOf(bytes.subarray(from, end));
      const record = line.trim() === '' ? null : parseRecord(line);
      if (record === undefined) throw noRecord();
      if (record) yield record;
      number++;
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MOST_LINE_BYTES) throw noRecord();
  }
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
