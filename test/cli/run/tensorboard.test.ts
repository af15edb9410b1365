import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  crc32c,
  EventFile,
  maskedCrc32c,
  scalarEvent,
  tfRecord,
  versionEvent,
} from '../../../packages/cli/src/run/tensorboard.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('CRC-32C of the published examples', () => {
  // RFC 3720, B.4, and the usual check value.
  expect(crc32c(ascii('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});

test('the first record of an event file has the bytes that every TensorFlow file begins with', () => {
  const record = tfRecord(versionEvent(1.5));
  // Length 24, and its masked CRC: what event files begin with, whatever wrote them.
  expect(hex(record.subarray(0, 12))).toBe('1800000000000000a37f4b22');
  // wall_time = 1.5, file_version = "brain.Event:2"
  expect(hex(record.subarray(12, 36))).toBe(`09000000000000f83f1a0d${hex(ascii('brain.Event:2'))}`);
  expect(record.length).toBe(40);
});

test('a scalar is Event { wall_time, step, summary { value { tag, simple_value } } }', () => {
  expect(hex(scalarEvent(1.5, 300, { loss: 0.5 }))).toBe(
    `09000000000000f83f10ac022a0d0a0b0a04${hex(ascii('loss'))}150000003f`,
  );
  expect(hex(scalarEvent(1.5, 1, { loss: Number.NaN, other: null }))).toBe('09000000000000f83f10012a00');
});

/** Reads records back by the format's definition. */
function records(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(view.getUint32(at + 12 + length, true)).toBe(maskedCrc32c(data));
    found.push(data);
    at += 16 + length;
  }
  return found;
}

test('records of any data can be read back', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (all) => {
      const file = Buffer.concat(all.map(tfRecord));
      expect(records(Uint8Array.from(file)).map(hex)).toEqual(all.map(hex));
    }),
    { numRuns: runs(50) },
  );
});

test('a file is appended to as the run goes; after a resume it says which steps to forget', () => {
  const folder = temporaryFolder();
  const file = new EventFile(folder, 7);
  file.scalars(8, { 'training/loss_nats': 2.5 });
  file.close();
  const [name] = readdirSync(folder);
  expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\.[\w.-]+\.\d+$/);
  const [version, restart, scalar] = records(new Uint8Array(readFileSync(join(folder, name)))).map(hex);
  expect(version).toContain(hex(ascii('brain.Event:2')));
  // step = 8, session_log { status: START }
  expect(restart.slice(18)).toBe('10083a020801');
  expect(scalar).toContain(hex(ascii('training/loss_nats')));
});
