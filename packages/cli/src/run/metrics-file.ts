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
import { openRegular } from '../files/small-file.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { type MetricsRecord, recordsOf } from './metrics-records.ts';

/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 20;

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
