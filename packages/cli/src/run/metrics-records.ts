/** @file The lines of metrics.jsonl. */
import { textOf } from '../files/small-file.ts';
import { UserError } from '../terminal/errors.ts';

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
 * The records in the chunks of a metrics.jsonl. Bytes behind the last newline are torn, and ignored.
 * @throws UserError naming a line that is no record
 */
export function* recordsOf(chunks: Iterable<Uint8Array>, path: string): Generator<MetricsRecord> {
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
