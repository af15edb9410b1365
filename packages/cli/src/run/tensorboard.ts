/**
 * @file TensorBoard event files: scalars by step, appended as they come.
 * A file is a row of records: length (u64), masked CRC-32C of the length, data, masked CRC-32C of the data, all little-endian.
 * The data are protocol buffers. @see tensorflow: core/lib/io/record_writer, core/util/event.proto, core/framework/summary.proto
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { reason, UserError } from '../terminal/errors.ts';

// Reflected polynomial of CRC-32C (Castagnoli).
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** As records store it: a CRC of data that holds CRCs would be weak, so it is turned and shifted. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** One record of an event file. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}

// ----- protocol buffers: field number and wire type, then the value -----------------------------------------------------

function varint(value: number): number[] {
  const bytes: number[] = [];
  // Not by shifts: step numbers may pass 2^31.
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const float = (field: number, value: number): number[] => [
  field * 8 + 5,
  ...new Uint8Array(Float32Array.of(value).buffer),
];
const double = (field: number, value: number): number[] => [
  field * 8 + 1,
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const integer = (field: number, value: number): number[] => [field * 8, ...varint(value)];
const nested = (field: number, bytes: ArrayLike<number>): number[] => [
  field * 8 + 2,
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const text = (field: number, value: string): number[] => nested(field, new TextEncoder().encode(value));

/** Event: wall_time = 1, step = 2, file_version = 3. The first of every file. */
export const versionEvent = (seconds: number): Uint8Array =>
  Uint8Array.from([...double(1, seconds), ...text(3, 'brain.Event:2')]);

/** Event with session_log = 7, status START: TensorBoard forgets what it has read of `step` and after. */
export const restartEvent = (seconds: number, step: number): Uint8Array =>
  Uint8Array.from([...double(1, seconds), ...integer(2, step), ...nested(7, integer(1, 1))]);

/** Event with summary = 5: one value (tag = 1, simple_value = 2) a scalar. Those that are not finite are left out. */
export function scalarEvent(
  seconds: number,
  step: number,
  scalars: Readonly<Record<string, number | null>>,
): Uint8Array {
  const values = Object.entries(scalars).flatMap(([tag, value]) =>
    value === null || !Number.isFinite(value) ? [] : nested(1, [...text(1, tag), ...float(2, value)]),
  );
  return Uint8Array.from([...double(1, seconds), ...integer(2, step), ...nested(5, values)]);
}

/** An event file of a run. */
export class EventFile {
  readonly path: string;
  #fd: number | undefined;

  /** @param resumeStep the step that the run goes on from @throws UserError if the file cannot be made */
  constructor(folder: string, resumeStep: number) {
    const seconds = Date.now() / 1000;
    const name = `events.out.tfevents.${Math.floor(seconds)}.${hostname().replace(/[^\w.-]/g, '_')}.${process.pid}`;
    this.path = join(folder, name);
    try {
      this.#fd = openSync(this.path, 'a');
    } catch (error) {
      throw new UserError(`cannot write ${this.path}: ${reason(error)}`, 1, { cause: error });
    }
    this.#append(versionEvent(seconds));
    if (resumeStep > 0) this.#append(restartEvent(seconds, resumeStep + 1));
  }

  scalars(step: number, values: Readonly<Record<string, number | null>>): void {
    this.#append(scalarEvent(Date.now() / 1000, step, values));
  }

  #append(event: Uint8Array): void {
    if (this.#fd === undefined) return;
    try {
      writeSync(this.#fd, tfRecord(event));
    } catch (error) {
      throw new UserError(`cannot write ${this.path}: ${reason(error)}`, 1, { cause: error });
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
