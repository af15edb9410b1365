import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MetricsFile, readMetrics } from '../../../packages/cli/src/run/metrics-file.ts';
import type { MetricsRecord } from '../../../packages/cli/src/run/metrics-records.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const record = (step: number): MetricsRecord => ({ step, bytes: step * 4096, lossNats: 1 / step, note: 'ä\n' });
const steps = (records: MetricsRecord[]): number[] => records.map(({ step }) => step);

function write(path: string, records: MetricsRecord[], options = {}): void {
  const file = new MetricsFile(path, options);
  for (const one of records) file.append(one);
  file.sync();
  file.close();
}

test('what was appended is read back, over several openings', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  expect(readMetrics(path)).toEqual([]);
  write(path, [record(1), record(2)]);
  write(path, [record(3)]);
  expect(readMetrics(path)).toEqual([record(1), record(2), record(3)]);
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
});

test('a crash at any byte loses at most the line being written, and writing goes on behind it', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  write(path, [1, 2, 3].map(record));
  const whole = readFileSync(path);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: whole.length }), (cut) => {
      writeFileSync(path, whole.subarray(0, cut));
      const complete = whole.subarray(0, cut).filter((byte) => byte === 0x0a).length;
      expect(steps(readMetrics(path))).toEqual([1, 2, 3].slice(0, complete));
      write(path, [record(9)]);
      expect(steps(readMetrics(path))).toEqual([...[1, 2, 3].slice(0, complete), 9]);
    }),
    { numRuns: runs(60) },
  );
});

test('a file of any length is read and cut line by line', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  const many = Array.from({ length: 30_000 }, (_, i) => record(i + 1));
  const one = JSON.stringify({ ...record(1), note: 'x'.repeat(90) });
  // Lines cross the ends of the pieces that are read, and of characters too.
  writeFileSync(path, many.map((line) => `${JSON.stringify(line)}\n`).join(''));
  expect(readMetrics(path)).toEqual(many);
  write(path, [], { resumeStep: 25_000 });
  expect(readMetrics(path)).toEqual(many.slice(0, 25_000));
  // More than a text of V8 can hold. The gaps take no room on the disk.
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, `${one}\n`, 0);
  ftruncateSync(descriptor, 600_000_000);
  closeSync(descriptor);
  expect(() => readMetrics(path)).toThrow('metrics.jsonl line 2 is not a metrics record; mend or delete that line');
});

test('a torn line longer than one read is cut whole', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  write(path, [record(1)]);
  appendFileSync(path, 'x'.repeat(10_000));
  write(path, [record(2)]);
  expect(steps(readMetrics(path))).toEqual([1, 2]);
});

test('resuming at a step drops what was written after it, and leaves no temporary file', () => {
  const folder = temporaryFolder();
  const path = join(folder, 'metrics.jsonl');
  write(path, [1, 2, 3, 4].map(record), { resumeStep: 0 });
  write(path, [record(3)], { resumeStep: 2 });
  expect(steps(readMetrics(path))).toEqual([1, 2, 3]);
  expect(readdirSync(folder)).toEqual(['metrics.jsonl']);
});

test('resuming before the evaluation of a step drops its line, after it keeps it', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  const evaluation: MetricsRecord = { step: 2, bytes: 8192, heldOutBitsPerByte: 3 };
  write(path, [record(1), record(2), evaluation]);
  write(path, [], { resumeStep: 2, resumeEvaluated: true });
  expect(readMetrics(path)).toEqual([record(1), record(2), evaluation]);
  write(path, [], { resumeStep: 2 });
  expect(readMetrics(path)).toEqual([record(1), record(2), evaluation]);
  write(path, [], { resumeStep: 2, resumeEvaluated: false });
  expect(readMetrics(path)).toEqual([record(1), record(2)]);
});

test('a figure that is no number is not read as one', () => {
  const folder = temporaryFolder({ 'a.jsonl': '{"step":1,"bytes":2,"lossNats":"<b>"}\n' });
  expect(() => readMetrics(join(folder, 'a.jsonl'))).toThrow(/a\.jsonl line 1 is not a metrics record/);
});

test('values that are not finite are written as null', () => {
  const path = join(temporaryFolder(), 'metrics.jsonl');
  write(path, [{ step: 1, bytes: 2, lossNats: Number.NaN, gradNorm: Number.POSITIVE_INFINITY }]);
  expect(readMetrics(path)).toEqual([{ step: 1, bytes: 2, lossNats: null, gradNorm: null }]);
});

test('a bad line that is not the last is named', () => {
  const folder = temporaryFolder({
    'a.jsonl': '{"step":1,"bytes":2}\nnope\n',
    'b.jsonl': 'null\n',
    'c.jsonl': '{"step":1}\n',
  });
  expect(() => readMetrics(join(folder, 'a.jsonl'))).toThrow(/a\.jsonl line 2 is not a metrics record/);
  expect(() => readMetrics(join(folder, 'b.jsonl'))).toThrow(/line 1/);
  expect(() => readMetrics(join(folder, 'c.jsonl'))).toThrow(/line 1/);
});

test('a path that cannot be written is refused in plain words', () => {
  const folder = temporaryFolder({ file: '' });
  expect(() => new MetricsFile(join(folder, 'file', 'metrics.jsonl'))).toThrow(
    /cannot write .*a part of the path is a file/,
  );
  expect(() => new MetricsFile(folder)).toThrow(/cannot write .*it is a folder/);
});
