/** @file Completion in the shells themselves: bash, and zsh and fish where they are installed. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { blt } from '../../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'blt-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
for (const file of ['book one.txt', 'scripts.txt']) writeFileSync(join(folder, file), '');
mkdirSync(join(folder, 'boxes'));

/** Runs a program of a shell. */
function inShell(shell: string, args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(shell, args, { cwd: folder, encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout;
}

/** Writes the script of a shell. @returns its path */
function script(shell: string): string {
  const { code, stdout } = blt(folder, ['completions', shell]);
  expect(code).toBe(0);
  const path = join(folder, `blt.${shell}`);
  writeFileSync(path, stdout);
  return path;
}

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** The words that are offered for the last one of a line, line by line. */
type Offered = (lines: readonly string[]) => string[][];

const bash: Offered = (lines) => {
  const path = script('bash');
  // As bash cuts the words: the sign of equality stands alone.
  const one = (line: string): string => {
    const words = line
      .split(' ')
      .flatMap((word) => word.split(/(?==)|(?<==)/))
      .map((word) => `'${word}'`);
    return `COMP_WORDS=(${words.join(' ')}) COMP_CWORD=${words.length - 1}; _blt; (IFS=,; echo "\${COMPREPLY[*]}")`;
  };
  const printed = inShell('bash', ['--noprofile', '--norc', '-c', `source '${path}'; ${lines.map(one).join('; ')}`]);
  return printed
    .trimEnd()
    .split('\n')
    .map((line) => line.split(',').filter((word) => word !== ''));
};

const fish: Offered = (lines) => {
  const path = script('fish');
  const one = (line: string) => `complete -C '${line}' | string replace -r '\\t.*' '' | string join ,; echo ';'`;
  const printed = inShell('fish', ['--no-config', '-c', `source '${path}'; ${lines.map(one).join('; ')}`]);
  return printed
    .split(';\n')
    .slice(0, -1)
    .map((line) =>
      line
        .trim()
        .split(',')
        .filter((word) => word !== ''),
    );
};

const LINES: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['blt tr', ['trace', 'train']],
  ['blt train --tex', ['--text-field']],
  ['blt train --size ', ['base', 'nano', 'small', 'tiny']],
  ['blt train --patching-mode s', ['space', 'static']],
  ['blt train --memory o', ['off', 'on']],
  ['blt eval --backend wasm', ['wasm']],
  ['blt train --data book', ['book one.txt']],
  ['blt train --from b', ['boxes']],
  ['blt train --seed ', []],
  ['blt patch scr', ['scripts.txt']],
  ['blt completions ', ['bash', 'fish', 'zsh']],
  ['blt help expo', ['export']],
];

describe.each([
  ['bash', bash],
  ['fish', fish],
] as const)('%s', (shell, offered) => {
  test.runIf(has(shell))('completes commands, flags, choices, files and folders', () => {
    const found = offered(LINES.map(([line]) => line));
    // fish shows that a folder is one.
    const words = found.map((all) => all.map((word) => word.replace(/\/$/, '')).sort());
    expect(LINES.map(([line], i) => [line, words[i]])).toEqual(LINES);
  });
});

test.runIf(has('bash'))('bash completes a value after the sign of equality', () => {
  expect(bash(['blt train --size=s', 'blt train --size='])).toEqual([['small'], ['nano', 'tiny', 'small', 'base']]);
});

test.runIf(has('zsh'))('zsh is told flags with their help, choices, files and folders', () => {
  const path = script('zsh');
  const stubs = 'compdef() { : }; _describe() { print -rl -- $commands }; _arguments() { print -rl -- "$@" }';
  const told = (line: string) =>
    inShell('zsh', ['-f', '-c', `${stubs}; source '${path}'; words=(${line}); CURRENT=$#words; _blt`]);
  expect(told('blt tr')).toContain('train:train entropy model');
  const train = told('blt train --s').split('\n');
  expect(train).toContainEqual(
    expect.stringMatching(/^\*--size=\[one dial for the sizes, .*\]:size:\(nano tiny small base\)$/),
  );
  expect(train).toContain('*--resume=[go on with a run that was stopped]:dir:_files -/');
  expect(train).toContain('*--dry-run[print the plan and stop]');
  expect(told('blt completions x')).toContain('*:argument:(bash zsh fish)');
  expect(inShell('zsh', ['-f', '-c', `compdef() { print "$@" }; source '${path}'`])).toBe('_blt blt\n');
});

test('every command and flag of the help is completed, and a shell that is not known is refused with those that are', () => {
  const words = (command: readonly string[], pattern: RegExp) =>
    [...blt(folder, [...command, '--help']).stdout.matchAll(pattern)].map(([, word]) => word);
  const commands = words([], /^ {2}([a-z]+)(?= [[<]| {2})/gm);
  expect(commands).toEqual(expect.arrayContaining(['train', 'compress', 'decompress', 'sweep', 'serve', 'help']));
  const scripts = ['bash', 'zsh', 'fish'].map((shell) => blt(folder, ['completions', shell]).stdout);
  for (const text of scripts) {
    const known = new Set(text.split(/[^a-z]+/));
    expect(commands.filter((command) => !known.has(command))).toEqual([]);
  }
  for (const command of ['train', 'sweep', 'compress']) {
    const flags = words([command], /^ {2}(?:-\w, )?(--[a-z][a-z0-9-]*)/gm);
    const ours = scripts[0].slice(scripts[0].indexOf(`\n    ${command})`)).split('esac')[1];
    expect(flags.filter((flag) => !ours.split(/[' ]/).includes(flag))).toEqual([]);
  }
  const refused = blt(folder, ['completions', 'tcsh']);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish.");
});
