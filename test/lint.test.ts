import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

test('the linter refuses a spread argument', () => {
  const file = join(root, 'scripts', 'spread-argument.lint-test.mjs');
  onTestFinished(() => rmSync(file, { force: true }));
  writeFileSync(
    file,
    `export const longest = (xs) => Math.max(...xs);
export const both = (xs, ys) => xs.push(0, ...ys);
export const made = (xs) => new Date(...xs);
export const plain = (xs, ys) => [...xs, ...ys, new Set([...xs])];
export const bounded = (f, xs) =>
  // biome-ignore lint/plugin: the parameters of one function
  f(...xs);
`,
  );
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const { stdout, stderr, status } = spawnSync(process.execPath, [biome, 'lint', file], {
    cwd: root,
    encoding: 'utf8',
  });
  const lines = [...(stdout + stderr).matchAll(/lint-test\.mjs:(\d+):\d+ plugin/g)].map(([, line]) => Number(line));
  expect(lines).toEqual([1, 2, 3]);
  expect(status).toBe(1);
});
