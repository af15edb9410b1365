/** @file Steps of `blt train` whose passes are shared among threads: the same bits on any number of them, after a stop too. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blt, bltInterrupted } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// biome-ignore format: flags and their values
const TRAIN = [
  'train', '--data', 'book.txt', '--local-width', '8', '--local-heads', '2', '--decoder-layers', '1', '--global-width', '8',
  '--global-heads', '2', '--global-layers', '1', '--hash-vocab', '64', '--hash-sizes', '3', '--entropy-width', '8', '--entropy-heads', '1',
  '--entropy-layers', '1', '--entropy-steps', '3', '--row-bytes', '64', '--batch-size', '3', '--pass-rows', '1', '--grad-accumulation', '2',
  '--dropout', '0.1', '--hash-dropout', '0.2', '--steps', '12', '--save-every', '4', '--memory', 'off',
];
const BOOK = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(60);

test('1, 2 and 3 threads have the same bits, and so has a run that is stopped and goes on with others', async () => {
  const folder = temporaryFolder({ 'book.txt': BOOK });
  const left = (run: string) =>
    ['model', 'training_state'].map((file) =>
      readFileSync(join(folder, 'runs', run, `step-000012/${file}.safetensors`)),
    );
  for (const threads of ['1', '2', '3']) {
    expect(blt(folder, [...TRAIN, '--run', threads, '--threads', threads])).toMatchObject({ code: 0, stderr: '' });
    expect(left(threads)).toEqual(left('1'));
  }
  const stopped = await bltInterrupted(folder, [...TRAIN, '--run', 'parts', '--threads', '3'], /step 1\/12/, 'SIGINT');
  expect(stopped.code).toBe(130);
  expect(blt(folder, ['train', '--resume', 'runs/parts', '--threads', '1']).code).toBe(0);
  expect(left('parts')).toEqual(left('1'));
});
