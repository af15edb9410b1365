import { expect, test } from 'vitest';
import { usesColor } from '../../../packages/cli/src/terminal/color.ts';
import { fitColumns, formatEta, formatStatus, StatusLine } from '../../../packages/cli/src/terminal/progress.ts';

class FakeStream {
  isTTY: boolean;
  columns = 60;
  text = '';
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

const full = {
  step: 120,
  steps: 2000,
  lossNats: 1.842,
  bitsPerByte: 2.657,
  heldOutBitsPerByte: 2.71,
  patchSizeMean: 4.31,
  bytesPerSecond: 18213,
  gradNorm: 0.812,
  etaSeconds: 372,
};

test('the status line names every figure with its unit', () => {
  expect(formatStatus(full)).toBe(
    'step 120/2000  loss 1.842 nats  2.66 bpb  val 2.71  patch 4.3 B  18.2 kB/s  grad 0.81  eta 6m',
  );
});

test('what is unknown is left out, and a diverged loss is shown', () => {
  expect(formatStatus({ step: 3, lossNats: Number.NaN })).toBe('step 3  loss nan nats');
});

test('the time left is coarse', () => {
  expect([0, 45, 59.6, 372, 3599, 7500, Number.POSITIVE_INFINITY].map(formatEta)).toEqual([
    '0s',
    '45s',
    '1m',
    '6m',
    '1h 00m',
    '2h 05m',
    '?',
  ]);
});

test('a line that does not fit is cut to the columns', () => {
  expect(fitColumns('abcdef', 6)).toBe('abcdef');
  expect(fitColumns('abcdefg', 6)).toBe('abcde…');
});

test('colour needs a terminal and no NO_COLOR; FORCE_COLOR overrides the stream but not NO_COLOR', () => {
  expect(usesColor({ isTTY: true }, {})).toBe(true);
  expect(usesColor({ isTTY: false }, {})).toBe(false);
  expect(usesColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(usesColor({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
  expect(usesColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  expect(usesColor({}, { FORCE_COLOR: '1' })).toBe(true);
  expect(usesColor({ isTTY: true }, { FORCE_COLOR: '0' })).toBe(false);
  expect(usesColor({}, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
});

test('without a terminal there is a plain line at most every so many seconds, and the last one', () => {
  const stream = new FakeStream(false);
  let now = 0;
  const line = new StatusLine(stream, { everySeconds: 10, now: () => now, env: {} });
  for (now = 0; now <= 25_000; now += 1000) line.update({ step: now / 1000, lossNats: 1 });
  line.finish();
  line.finish();
  expect(stream.text.split('\n')).toEqual([0, 10, 20, 25].map((step) => `step ${step}  loss 1.000 nats`).concat(''));
});

test('on a terminal one line is repainted in place and fits it', () => {
  const stream = new FakeStream(true);
  let now = 0;
  const line = new StatusLine(stream, { now: () => now, env: { NO_COLOR: '1' } });
  line.update(full);
  now += 1000;
  line.update({ ...full, step: 121 });
  expect(stream.text).not.toContain('\n');
  const painted = stream.text.split('\x1b[1G\x1b[2K');
  expect(painted).toHaveLength(3);
  for (const paint of painted) expect(paint.length).toBeLessThanOrEqual(stream.columns - 1);
  expect(painted[2]).toMatch(/^step 121/);
  line.finish();
  expect(stream.text.endsWith('\n')).toBe(true);
});

test('a logged line stays above the status line', () => {
  const stream = new FakeStream(true);
  const line = new StatusLine(stream, { now: () => 0, env: { NO_COLOR: '1' } });
  line.update({ step: 1, lossNats: 2 });
  line.log('saved step-000001');
  const last = stream.text.split('\n');
  expect(last[0].endsWith('saved step-000001')).toBe(true);
  expect(last[1]).toBe('step 1  loss 2.000 nats');
});
