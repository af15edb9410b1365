import { expect, test } from 'vitest';
import { parseConfig } from '../../packages/cli/src/config/config-file.ts';
import { parseJsonl } from '../../packages/cli/src/data/jsonl.ts';
import { recordsOf } from '../../packages/cli/src/run/metrics-records.ts';
import { parseRecord } from '../../packages/cli/src/run/record.ts';
import { parseStateJson } from '../../packages/cli/src/run/state-files.ts';
import { fuzzParsers } from '../support/fuzz-parsers.ts';

test('20,000 broken files: each is read, or refused by one of our own errors', { timeout: 900_000 }, async () => {
  const seed = process.env.BLT_SEED === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(process.env.BLT_SEED);
  const counts = await fuzzParsers({ inputs: 20_000, seed });
  let inputs = 0;
  for (const [name, count] of counts) {
    inputs += count.inputs;
    // A fuzzer whose inputs are all refused, or all read, tests nothing.
    expect({ name, some: count.refused > 0 && count.refused < count.inputs }).toEqual({ name, some: true });
  }
  expect(inputs).toBe(20_000);
});

test('time is linear in the input: nothing a megabyte long takes more than a second of the processor', {
  timeout: 300_000,
}, () => {
  const size = 1_000_000;
  const texts = [
    '['.repeat(size),
    '{"a":'.repeat(size / 5),
    `[${'0,'.repeat(size / 2)}0]`,
    `{${Array.from({ length: size / 12 }, (_, i) => `"k${i}":1`).join(',')}}`,
    JSON.stringify({ step: 1, bytes: 1, x: 'y'.repeat(size) }),
    '"'.repeat(size),
    '\n'.repeat(size),
    'a.'.repeat(size / 2),
    `a = ${'['.repeat(size)}`,
    `a = ${'{b='.repeat(size / 3)}`,
    '[[a]]\n'.repeat(size / 6),
  ];
  const parsers: Record<string, (text: string) => unknown> = {
    record: (text) => parseRecord(text, 'x'),
    state: (text) => parseStateJson(text, 'x'),
    toml: (text) => parseConfig(text, 'x.toml'),
    json: (text) => parseConfig(text, 'x.json'),
    metrics: (text) => [...recordsOf([Buffer.from(text)], 'x')],
    jsonl: (text) => parseJsonl(new TextEncoder().encode(text), 'x'),
  };
  for (const [name, parse] of Object.entries(parsers)) {
    texts.forEach((text, i) => {
      try {
        parse(text);
      } catch (error) {
        expect({ name, i, error: (error as Error).name }).toEqual({ name, i, error: 'UserError' });
        expect((error as Error).message.length).toBeLessThan(4000);
      }
    });
  }
});
