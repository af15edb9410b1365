import { spawn, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { BLT, blt } from '../../support/command.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const TRAIN =
  'train --local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 3 --row-bytes 64 --batch-size 2 --data book.txt --run r';
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const ESC = '\x1b';

/** Runs `blt` in a pseudo-terminal made by script(1) of util-linux; `keys` are typed once the output matches. */
function inTerminal(
  cwd: string,
  args: string,
  options: { env?: NodeJS.ProcessEnv; keys?: [when: RegExp, what: string] } = {},
): Promise<{ code: number | null; screen: string }> {
  const env = { ...process.env, TERM: 'xterm-256color', ...options.env };
  // The column count of a terminal without one would be 0.
  const command = `stty cols 100 rows 30; exec '${process.execPath}' '${BLT}' ${args}`;
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['-qec', command, '/dev/null'], { cwd, env });
    let screen = '';
    let typed = false;
    child.on('error', () =>
      reject(new Error('script(1) of util-linux is missing; on Debian: apt-get install bsdutils')),
    );
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk;
      if (options.keys && !typed && options.keys[0].test(screen)) {
        typed = true;
        child.stdin.write(options.keys[1]);
      }
    });
    child.on('close', (code) => resolve({ code, screen }));
  });
}

test('script(1) is here', () => {
  expect(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout).toContain('util-linux');
});

test('on a terminal: one status line repainted in place, Ctrl-C saves, the run goes on, and its text can be generated', async () => {
  const folder = temporaryFolder({ 'book.txt': TEXT });
  const stopped = await inTerminal(folder, `${TRAIN} --steps 3000 --eval-every 500`, {
    keys: [/step \d+\/3000/, '\x03'],
  });
  expect(stopped.code).toBe(130);
  expect(stopped.screen).toContain('stopped by SIGINT; saved');
  expect(stopped.screen).toContain('blt train --resume runs/r');
  // The line begins anew at column 1 instead of on a new line, its first word in bold.
  expect(stopped.screen).toContain(`${ESC}[1G`);
  expect(stopped.screen).toMatch(new RegExp(`${ESC}\\[1mstep \\d+/3000`));
  for (const line of stopped.screen.split(/\r\n|\r|\n/)) expect(line.length).toBeLessThan(4000);

  const resumed = await inTerminal(folder, 'train --resume runs/r --minutes 0.01');
  expect(resumed.code).toBe(0);
  expect(resumed.screen).toMatch(/resumed +runs\/r\/step-\d+ \(model\)/);

  const made = await inTerminal(folder, "generate --model runs/r --prompt 'It was' --max-bytes 20");
  expect(made.code).toBe(0);
  expect(made.screen).toContain('It was');

  const asked = await inTerminal(folder, 'trian');
  expect(asked.code).toBe(2);
  expect(asked.screen).toContain('train');
});

test('NO_COLOR leaves the colours out; a pipe gets no escape sequence at all', async () => {
  const folder = temporaryFolder({ 'book.txt': TEXT });
  const plain = await inTerminal(folder, `${TRAIN} --steps 5`, { env: { NO_COLOR: '1' } });
  expect(plain.code).toBe(0);
  expect(plain.screen).toContain('step');
  expect(plain.screen.includes(`${ESC}[1m`)).toBe(false);
  const piped = blt(folder, [...TRAIN.replace('--run r', '--run s').split(' '), '--steps', '5']);
  expect(piped.code).toBe(0);
  expect(piped.stdout.includes(ESC)).toBe(false);
  expect(piped.stdout.includes('\r')).toBe(false);
});

test('a name with a line break stays on its line', () => {
  const folder = temporaryFolder({ 'a\nb.txt': TEXT });
  const { code, stdout } = blt(folder, [...TRAIN.replace('book.txt', 'a\nb.txt').split(' '), '--dry-run']);
  expect({ code, line: /^data .*/m.exec(stdout)?.[0] }).toMatchObject({
    code: 0,
    line: expect.stringMatching(/^data {11}a\\nb\.txt \(1 document\): /),
  });
});
