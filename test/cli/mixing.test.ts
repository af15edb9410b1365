/** @file Mixed sources and chats as they are called: shares, figures of each source, the same bits after a stop and on any threads. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blt, bltInterrupted } from '../support/command.ts';

// biome-ignore format: flags and their values
const TINY = [
  '--local-width', '16', '--local-heads', '2', '--decoder-layers', '1', '--global-width', '16', '--global-heads', '2',
  '--global-layers', '1', '--hash-sizes', '3', '--hash-vocab', '64', '--entropy-width', '8', '--entropy-heads', '1',
  '--entropy-layers', '1', '--entropy-steps', '5', '--row-bytes', '64', '--batch-size', '2', '--memory', 'off',
];
const folder = mkdtempSync(join(tmpdir(), 'blt-mixing-'));
const json = (...path: string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'));
beforeAll(() => {
  writeFileSync(join(folder, 'words.txt'), 'it was the best of times, it was the worst of times\n'.repeat(60));
  writeFileSync(join(folder, 'fruit.csv'), 'apple,red,150\npear,green,170\nplum,blue,30\n'.repeat(40));
  const chats = Array.from({ length: 60 }, (_, i) => ({
    messages: [
      { role: 'user', content: `add ${i % 7} and ${i % 5}` },
      { role: 'assistant', content: `it is ${(i % 7) + (i % 5)}.` },
    ],
  }));
  writeFileSync(join(folder, 'chat.jsonl'), chats.map((chat) => `${JSON.stringify(chat)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a mixture has a figure for each source, and the same bits after a stop and on other threads', async () => {
  const args = ['train', '--data', 'words.txt=3', '--data', 'fruit.csv', ...TINY, '--steps', '20', '--save-every', '5'];
  const { code, stdout } = blt(folder, [...args, '--run', 'whole', '--threads', '1']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^data +75% words\.txt \+ 25% fruit\.csv \(2 documents\): /m);
  expect(stdout).toMatch(/^held out +\d+ bytes: \d+ of words\.txt \(tails\), \d+ of fruit\.csv \(tails\)$/m);
  const { bytes, sources } = json('runs/whole/evaluation.json');
  expect(sources.map((one: { source: string }) => one.source)).toEqual(['words.txt', 'fruit.csv']);
  expect(sources[0].bytes + sources[1].bytes).toBe(bytes);
  const { cursor } = json('runs/whole/step-000020/training_state.json').loop;
  // 40 rows, three of words.txt for each of fruit.csv; the documents have fewer rows than that.
  expect(cursor.row).toBe(40);

  const stopped = await bltInterrupted(folder, [...args, '--run', 'parts', '--threads', '2'], /step 1\/20/, 'SIGINT');
  expect(stopped.code).toBe(130);
  expect(blt(folder, ['train', '--resume', 'runs/parts', '--threads', '2']).code).toBe(0);
  const weights = (run: string) => readFileSync(join(folder, 'runs', run, 'step-000020/model.safetensors'));
  expect(weights('parts').equals(weights('whole'))).toBe(true);
});

test('a chat is learned by its answers, and answered in its template', () => {
  const { code, stdout } = blt(folder, ['train', '--data', 'chat.jsonl', ...TINY, '--steps', '3', '--run', 'chat']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^answers +\d+ B of chats and completions; the loss counts these alone/m);
  expect(stdout).toMatch(/ bits per byte on \d+ B of answers \(full\)$/m);
  expect(stdout).toContain('blt generate --model runs/chat --chat --prompt');
  const answer = blt(folder, ['generate', '--model', 'runs/chat', '--chat', '--prompt', 'add 1 and 1', '--json']);
  expect(JSON.parse(answer.stdout).prompt).toBe('\x01user\x02add 1 and 1\x03\x01assistant\x02');
  expect(JSON.parse(answer.stdout).bytes).not.toContain(3);
  expect(answer.stderr).not.toContain('was not trained on chats');
});

test('a model that learned no chats is said to know none', () => {
  expect(blt(folder, ['train', '--data', 'words.txt', ...TINY, '--steps', '2', '--run', 'plain']).code).toBe(0);
  const asked = blt(folder, ['generate', '--model', 'runs/plain', '--chat', '--prompt', 'add 1 and 1']);
  expect(asked.code).toBe(0);
  expect(asked.stderr).toContain('the model was not trained on chats');
});

test('an evaluation of text that was trained on says so', () => {
  const evaluated = (data: string) => blt(folder, ['eval', '--model', 'runs/plain', '--data', data]);
  expect(evaluated('words.txt').stderr).toMatch(
    /the model was trained on 2\.\d+ kB of words\.txt, so the figure says little/,
  );
  expect(evaluated('fruit.csv').stderr).not.toContain('trained on');
});
