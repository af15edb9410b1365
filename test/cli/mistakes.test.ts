/** @file Every command, and every flag of it, answers a misspelling with the name that was probably meant. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BLT, blt } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const help = (...args: string[]): string => blt('.', [...args, '--help']).stdout;
const COMMANDS = [...help().matchAll(/^ {2}([a-z]+)(?= |$)/gm)]
  .map(([, name]) => name)
  .filter((name) => name !== 'help');
const flagsOf = (command: string): string[] => [
  ...new Set([...help(command).matchAll(/^ {2}(?:-\w, )?--([a-z][a-z-]+)/gm)].map(([, flag]) => flag)),
];
/** Two neighbours swapped, as fingers do; the last letter doubled where that is too short a name to swap in. */
function misspelt(name: string): string {
  const at = [...name].findIndex((letter, i) => i > 0 && /[a-z]/.test(name[i + 1] ?? '') && letter !== name[i + 1]);
  if (name.length < 5) return `${name}${name.at(-1)}`;
  return `${name.slice(0, at)}${name[at + 1]}${name[at]}${name.slice(at + 2)}`;
}

async function answer(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [BLT, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

test('the help lists the commands', () => {
  expect(COMMANDS).toEqual(expect.arrayContaining(['train', 'generate', 'patch', 'eval', 'runs', 'compare', 'doctor']));
  expect(flagsOf('train')).toEqual(expect.arrayContaining(['data', 'steps', 'resume', 'on-spike', 'entropy-width']));
});

test('a stop text that is given twice is refused, because one alone would end the text', async () => {
  const { code, stderr } = await answer(['generate', '--stop', ' ', '--stop', 'q']);
  expect({ code, stderr }).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--stop.*given twice; leave one out/),
  });
});

test('a misspelt command is answered with the name meant, exit code 2', async () => {
  for (const command of COMMANDS) {
    const { code, stderr } = await answer([misspelt(command)]);
    expect({ command, code, meant: /Did you mean (.*)\?/.exec(stderr)?.[1] }).toEqual({
      command,
      code: 2,
      meant: expect.stringContaining(command),
    });
  }
});

const EXCESS: readonly (readonly [string[], string])[] = [
  [['train', 'book.txt'], 'blt train takes no arguments, so not book.txt; did you mean --data book.txt?'],
  [['generate', 'Call me'], 'blt generate takes no arguments, so not "Call me"; did you mean --prompt "Call me"?'],
  [
    ['train', '--leave-one-out', 'off'],
    'blt train takes no arguments, so not off; --leave-one-out has no value; did you mean --data off?',
  ],
  [['eval', '-q', 'x'], 'blt eval takes no arguments, so not x; -q has no value; did you mean --data x?'],
  [['serve', 'a', 'b'], 'blt serve takes one argument, so not b'],
  [['doctor', 'x'], 'blt doctor takes no arguments, so not x'],
];
test.each(EXCESS)('a word that a command has no use for is named: %j', async (args, reason) => {
  expect(await answer(args)).toEqual({ code: 2, stderr: `error: ${reason}\n(add --help for what there is)\n` });
});

test.skipIf(process.platform === 'win32')('a pipe that is not read is spoken of, unless --quiet is given', () => {
  const train = (flags: string) => {
    const command = `echo text | "${process.execPath}" "${BLT}" train --dry-run --this-node ${flags}`;
    return spawnSync('sh', ['-c', command], { cwd: temporaryFolder(), encoding: 'utf8' });
  };
  expect(train('').stderr).toContain('standard input is not read; --data - reads it');
  expect(train('-q').stderr).not.toContain('standard input');
  expect(train('--data -').stderr).not.toContain('is not read');
});

test('a run that is not there is said to be no folder, and one of that name under runs/ is offered', () => {
  const cwd = temporaryFolder();
  mkdirSync(join(cwd, 'runs/a'), { recursive: true });
  writeFileSync(join(cwd, 'runs/a/config.json'), '{}');
  const compare = (name: string) => blt(cwd, ['compare', name]);
  expect(compare('b')).toMatchObject({ code: 2, stderr: 'blt: there is no folder b\n' });
  expect(compare('a')).toMatchObject({ code: 2, stderr: 'blt: there is no folder a; did you mean runs/a?\n' });
});

describe.each(COMMANDS)('%s', (command) => {
  test('a misspelt flag is answered with the name meant, exit code 2', async () => {
    const flags = flagsOf(command).filter((flag) => flag !== 'help');
    expect(flags.length).toBeGreaterThan(0);
    // All of them in the nightly run; a few, others every time, in the ordinary one.
    const start = Math.floor(Math.random() * flags.length);
    const some = process.env.BLT_SLOW ? flags : [0, 1].map((i) => flags[(start + i * 7) % flags.length]);
    for (const flag of some) {
      const { code, stderr } = await answer([command, `--${misspelt(flag)}`]);
      expect({ flag, code, meant: /Did you mean (.*)\?/.exec(stderr)?.[1] }).toEqual({
        flag,
        code: 2,
        meant: expect.stringContaining(`--${flag}`),
      });
    }
  });
});

test.each<[name: string, args: string, says: RegExp]>([
  ['no number', 'generate --max-bytes many', /--max-bytes.*'many' is invalid\. expected a number/],
  ['a negative count', 'generate --max-bytes -3', /expected a whole number >= 0/],
  ['a temperature below 0', 'generate --temperature -1', /--temperature.*expected 0 or more/],
  ['a mass of nothing', 'generate --top-p 0', /--top-p.*expected a number above 0 and at most 1/],
  ['a mass above 1', 'generate --top-p 1.5', /--top-p.*at most 1/],
  ['a choice among none', 'generate --top-k 0', /--top-k.*expected 1 or more/],
  ['no context', 'eval --row-bytes 0', /--row-bytes.*expected 2 or more/],
  ['a port that is none', 'play --port 65536', /--port.*expected 0 to 65535/],
  ['half a byte', 'patch --text x --patch-size 2.5', /--patch-size.*expected a whole number/],
  ['an unknown choice', 'train --size nanno', /nanno.*Allowed choices are nano, tiny, small, base/],
  ['nowhere to write', 'export', /^blt: --out is missing/],
  ['a count below 0', 'train --steps -5', /^blt: --steps must be 1 or more, got -5$/m],
  ['half a step', 'train --steps 1.5', /^blt: --steps must be a whole number, got 1\.5$/m],
  ['no thread', 'train --threads 0', /^blt: --threads must be 1 or more, got 0$/m],
  ["another trainer's rate", 'train --learning-rate 1', /\(Did you mean --lr\?\)/],
  ["another trainer's steps", 'train --max-iters 1', /\(Did you mean --steps\?\)/],
  ["another trainer's length", 'generate --max-new-tokens 1', /\(Did you mean --max-bytes\?\)/],
  ['nothing to trace', 'trace -o x', /^blt: --ids is missing/],
])('%s is refused, exit code 2', async (_, args, says) => {
  const { code, stderr } = await answer(args.split(' '));
  expect(stderr).toMatch(says);
  expect(code).toBe(2);
});

test('all problems of a command line come in one message', async () => {
  const { code, stderr } = await answer('train --steps 4x --lr fast --window 0 --patching-mode entrop'.split(' '));
  expect(code).toBe(2);
  expect(stderr).toMatch(/has 4 problems:/);
  for (const line of [
    '--steps must be a number, got "4x"',
    '--lr must be a number, got "fast"',
    '--window must be 1 or more, got 0',
    '--patching-mode must be one of entropy, space, static, byte; got "entrop"',
  ]) {
    expect(stderr).toContain(`\n- ${line}\n`);
  }
});

test('control characters in a file name are shown on the terminal, not sent', () => {
  const name = 'a\x1b[31mb.txt';
  const folder = temporaryFolder({ [name]: 'It was the best of times. '.repeat(200) });
  const { code, stdout } = blt(folder, ['train', '--data', name, '--dry-run', '--backend', 'wasm']);
  expect(code).toBe(0);
  expect(stdout).toContain('a\\x1b[31mb.txt');
  expect(stdout).not.toContain('\x1b');
});

test('export --json says what was written', () => {
  const folder = temporaryFolder({ 'book.txt': 'It was the best of times, it was the worst of times. '.repeat(60) });
  const tiny =
    'train --local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --data book.txt --backend wasm --steps 1 --run r';
  expect(blt(folder, tiny.split(' ')).code).toBe(0);
  const made = JSON.parse(blt(folder, ['export', '--model', 'runs/r', '-o', 'out', '--json']).stdout);
  expect(made).toMatchObject({ folder: 'out', dtype: 'F32', files: ['model.safetensors'], layout: 'huggingface' });
  expect(made.beside).toEqual(['tokenizer.json', 'tokenizer_config.json', 'generation_config.json', 'README.md']);
  const config = JSON.parse(readFileSync(join(folder, 'out/config.json'), 'utf8'));
  expect(config).toMatchObject({
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
    use_cache: false,
    dtype: 'float32',
  });
  // The model card has the data, the command and the figure of the run.
  const card = readFileSync(join(folder, 'out/README.md'), 'utf8');
  const { heldOutBitsPerByte } = JSON.parse(readFileSync(join(folder, 'runs/r/evaluation.json'), 'utf8'));
  expect(card).toContain('# r, step 1\n');
  expect(card).toContain('Trained on `book.txt`.');
  expect(card).toContain('`blt train --local-width 16 ');
  expect(card).toContain(`| bits per byte, held-out | ${heldOutBitsPerByte.toFixed(3)} `);

  const again = JSON.parse(
    blt(folder, ['import', join(folder, 'out'), '-o', 'in', '--dtype', 'bf16', '--json']).stdout,
  );
  expect(again).toMatchObject({ dtype: 'BF16', parameters: made.parameters, bytes: made.bytes / 2 });
  expect(blt(folder, ['export', '--model', 'runs/r', '-o', 'book.txt'])).toMatchObject({
    code: 2,
    stderr: 'blt: book.txt is a file; name a folder\n',
  });
  expect(blt(folder, ['export', '--model', 'runs/r', '-o', 'book.txt/x'])).toMatchObject({
    code: 1,
    stderr: 'blt: cannot write book.txt/x: a part of the path is a file, not a folder\n',
  });

  // A run that cannot be read: the model is exported all the same, and it is said that its card is short.
  writeFileSync(join(folder, 'runs/r/config.json'), '{');
  const short = blt(folder, ['export', '--model', 'runs/r/step-000001', '-o', 'short']);
  expect(short.code).toBe(0);
  expect(short.stderr).toMatch(/^warning: README\.md says nothing of data and figures: .*config\.json is not JSON/);
  expect(readFileSync(join(folder, 'short/README.md'), 'utf8')).toContain(
    'Not known: the folder that was exported is no step of a run.',
  );
});
