import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SamplesFile } from '../../../packages/cli/src/run/samples-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const sample = (step: number, text = `text ${step}`) => ({ step, prompt: '', text });

test('samples are kept over a restart, but those of steps that are to be done again', () => {
  const folder = temporaryFolder();
  const path = join(folder, 'samples.jsonl');
  const file = new SamplesFile(path, 0);
  for (const step of [5, 10, 15]) file.add(sample(step));
  expect(new SamplesFile(path, 20).samples).toEqual([5, 10, 15].map((step) => sample(step)));
  const resumed = new SamplesFile(path, 10);
  expect(resumed.samples.map(({ step }) => step)).toEqual([5, 10]);
  resumed.add(sample(15, 'again'));
  expect(new SamplesFile(path, 20).samples.map(({ text }) => text)).toEqual(['text 5', 'text 10', 'again']);
  expect(readdirSync(folder)).toEqual(['samples.jsonl']);
});

test('a step has one sample: the last', () => {
  const path = join(temporaryFolder(), 'samples.jsonl');
  const file = new SamplesFile(path, 0);
  for (const text of ['first', 'second']) file.add(sample(3, text));
  expect(file.samples).toEqual([sample(3, 'second')]);
  expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(1);
});

test('lines that are no samples are passed over', () => {
  const lines = ['{"step":1,"prompt":"","text":"a"}', 'null', '{"step":"2","prompt":"","text":"b"}', '{', ''];
  const folder = temporaryFolder({ 'samples.jsonl': lines.join('\n') });
  expect(new SamplesFile(join(folder, 'samples.jsonl'), 9).samples).toEqual([{ step: 1, prompt: '', text: 'a' }]);
});

test('a file that cannot be written is named, and nothing is left beside it', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'samples.jsonl'));
  const file = new SamplesFile(join(folder, 'samples.jsonl'), 0);
  expect(() => file.add(sample(1))).toThrow(/^cannot write .*samples\.jsonl: /);
  expect(readdirSync(folder)).toEqual(['samples.jsonl']);
});
