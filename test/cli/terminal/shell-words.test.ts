/** @file Commands that are shown can be pasted into a shell. */
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { againCommand } from '../../../packages/cli/src/commands/sweep.ts';
import { shellWords } from '../../../packages/cli/src/terminal/shell-words.ts';
import { runs } from '../../support/runs.ts';

test('plain words stay as they are; others are quoted', () => {
  expect(shellWords(['blt', 'train', '--resume', 'runs/nano-1'])).toBe('blt train --resume runs/nano-1');
  expect(shellWords(['a b', "it's", '', '=ls', '*.txt', 'x=1'])).toBe(`'a b' 'it'\\''s' '' '=ls' '*.txt' x=1`);
});

test.skipIf(process.platform === 'win32')('a shell takes a command apart into the words that it was made of', () => {
  const word = fc.string({
    unit: fc.constantFrom('a', ' ', "'", '"', '$', '`', '\\', '*', '~', '=', '#', '!', '\n', 'ü'),
  });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${shellWords(words)}`], { encoding: 'utf8' });
      expect(stdout.split('\0').slice(0, -1)).toEqual(words);
    }),
    { numRuns: runs(50) },
  );
});

test('a sweep goes on with its folder and its jobs', () => {
  expect(againCommand('a b.toml', { jobs: 4, out: 'my runs' })).toBe("blt sweep 'a b.toml' --out 'my runs' --jobs 4");
  expect(againCommand('a.toml', { jobs: 1 })).toBe('blt sweep a.toml');
});
