/** @file `blt serve` and `blt generate --prompts` as commands. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BLT, blt } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const TEXT = 'It was the best of times, it was the worst of times. '.repeat(30);
const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 2 --row-bytes 64 --batch-size 2 --steps 2'.split(
    ' ',
  );

/** A folder with a trained run `first`. */
function trained(files: Record<string, string | Uint8Array> = {}): string {
  const folder = temporaryFolder({ 'book.txt': TEXT, ...files });
  expect(blt(folder, ['train', ...TINY, '--data', 'book.txt', '--run', 'first']).code).toBe(0);
  return folder;
}

describe('blt serve', () => {
  test('serves a run to curl and to several clients at once in two threads, and ends on SIGINT', async () => {
    const prompts = ['It was', 'the best of', 'times', '', 'the worst of times, it'];
    const folder = trained({ 'prompts.jsonl': prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join('') });
    const flags = ['--places', '4', '--threads', '2'];
    const child = spawn(process.execPath, [BLT, 'serve', 'runs/first', '--port', '0', ...flags], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, BLT_API_KEY: 'secret' },
    });
    try {
      const [line] = await once(child.stdout!, 'data');
      const [url] = /http:\S+/.exec(String(line))!;
      expect(String(line)).toContain('serves first in 2 threads (this machine only');
      const curl = (path: string, ...args: string[]) =>
        spawnSync('curl', ['-sS', `${url}/${path}`, '-H', 'Authorization: Bearer secret', ...args], {
          encoding: 'utf8',
        });
      expect(JSON.parse(curl('models').stdout).data[0].id).toBe('first');
      const body = (i: number) =>
        JSON.stringify({ model: 'first', prompt: prompts[i], max_tokens: 20, seed: 4 + i, ignore_eos: true });
      const sampling = '--prompts prompts.jsonl -n 20 --seed 4 --ignore-eos -t 1'.split(' ');
      const alone = blt(folder, ['generate', '--model', 'runs/first', ...sampling])
        .stdout.trim()
        .split('\n');
      const texts = alone.map((line) => (JSON.parse(line) as { text: string }).text);
      const json = { 'Content-Type': 'application/json', Authorization: 'Bearer secret' };
      const together = prompts.map(async (_, i) => {
        const answer = await fetch(`${url}/completions`, { method: 'POST', headers: json, body: body(i) });
        return ((await answer.json()) as { choices: { text: string }[] }).choices[0].text;
      });
      expect(await Promise.all(together)).toEqual(texts);
      const { stdout } = curl('completions', '-H', 'Content-Type: application/json', '-d', body(0));
      expect(JSON.parse(stdout).choices[0].text).toBe(texts[0]);
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('answers chats where the run was trained on some, or --chat says so', async () => {
    const chat = {
      messages: [
        { role: 'user', content: '2+2?' },
        { role: 'assistant', content: '4' },
      ],
    };
    const [ask, answer] = chat.messages;
    const chats = Array.from({ length: 60 }, (_, i) => [
      { ...ask, content: `${i}+2?` },
      { ...answer, content: `${i + 2}` },
    ]);
    const folder = trained({ 'chats.jsonl': chats.map((messages) => `${JSON.stringify({ messages })}\n`).join('') });
    expect(blt(folder, ['train', ...TINY, '--data', 'chats.jsonl', '--run', 'chats']).code).toBe(0);
    let served = '';
    const status = async (...args: string[]): Promise<number> => {
      const child = spawn(process.execPath, [BLT, 'serve', ...args, '--port', '0', '--threads', '1'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        const [line] = await once(child.stdout!, 'data');
        served = /serves (\S+)/.exec(String(line))![1];
        const body = JSON.stringify({ messages: chat.messages.slice(0, 1), max_tokens: 5 });
        const headers = { 'Content-Type': 'application/json' };
        const url = `${/http:\S+/.exec(String(line))![0]}/chat/completions`;
        return (await fetch(url, { method: 'POST', headers, body })).status;
      } finally {
        child.kill('SIGKILL');
      }
    };
    expect(await status('runs/chats')).toBe(200);
    expect(await status('runs/first')).toBe(400);
    expect(await status('runs/first', '--chat')).toBe(200);
    // The newest run has the name of its folder, and not that of its best step.
    expect([await status(), served]).toEqual([200, 'chats']);
  });

  test('other machines need a key', () => {
    const { code, stderr } = blt(temporaryFolder(), ['serve', 'nowhere', '--host', '0.0.0.0']);
    expect(code).toBe(2);
    expect(stderr).toContain('--host 0.0.0.0 lets other machines in, so a key is needed');
  });
});

describe('blt generate --prompts', () => {
  test('continues each prompt n times, in the order of the file, each as if it were alone', () => {
    const lines = ['{"prompt": "It was", "id": "x"}', '', '"the best"', '{"prompt": ""}'];
    const folder = trained({
      'prompts.jsonl': `${lines.join('\n')}\n`,
      'one.jsonl': `${lines[0]}\n`,
      'bad.jsonl': '"a"\n{"txt": "b"}\n',
      'taken.jsonl': '"a"\n\n{"prompt": "b", "finish_reason": "mine"}\n',
      'latin1.jsonl': Buffer.from('"a"\n"caf\xe9"\n', 'latin1'),
    });
    const generate = (...args: string[]) =>
      blt(folder, ['generate', '--model', 'runs/first', '-n', '12', '--seed', '9', ...args]);
    expect(generate('--prompts', 'prompts.jsonl', '--n', '3', '--out', 'out.jsonl').code).toBe(0);
    const read = (text: string) =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { prompt: string; index: number; text: string; finish_reason: string });
    const answers = read(readFileSync(join(folder, 'out.jsonl'), 'utf8'));
    expect(answers.map(({ prompt, index }) => [prompt, index])).toEqual(
      ['It was', 'the best', ''].flatMap((prompt) => [0, 1, 2].map((index) => [prompt, index])),
    );
    expect(answers[0]).toMatchObject({ id: 'x', index: 0 });
    const alone = JSON.parse(generate('--prompt', 'It was', '--no-memory', '--json').stdout) as { text: string };
    expect(answers[0].text).toBe(alone.text);
    expect(read(generate('--prompts', 'one.jsonl').stdout)).toEqual([answers[0]]);

    const refused = (...args: string[]) => {
      const { code, stderr } = generate(...args);
      expect(code).not.toBe(0);
      return stderr.trim().split('\n').at(-1);
    };
    expect(refused('--prompts', 'bad.jsonl')).toContain('bad.jsonl line 2 has no prompt');
    expect(refused('--prompts', 'taken.jsonl')).toContain(
      "taken.jsonl line 3 has a field 'finish_reason', which the answer would overwrite",
    );
    expect(refused('--prompts', 'latin1.jsonl')).toContain('latin1.jsonl line 2 is not valid UTF-8');
    expect(refused('--prompts', 'none.jsonl')).toContain('cannot read none.jsonl');
    expect(refused('--prompts', 'one.jsonl', '--out', 'no/out.jsonl')).toContain('there is no folder no');
    expect(refused('--prompts', 'one.jsonl', '--json')).toContain('--json is for a single text');
    expect(refused('--n', '2')).toContain('give --prompts FILE too');
  });
});
