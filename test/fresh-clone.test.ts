/** @file Scripts that a newcomer may run first in a fresh clone. They need Node and nothing that has to be installed before. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Packages that a script imports before it runs, itself or by a file of ours that it imports. */
function packagesOf(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  const targets = [...text.matchAll(/^(?:import|export) (?:[^'"=]* from )?'([^']+)';$/gm)].map(([, to]) => to);
  return targets.flatMap((to) => {
    if (to.startsWith('node:')) return [];
    return to.startsWith('.') ? packagesOf(resolve(dirname(file), to), seen) : [`${to}, by ${relative(root, file)}`];
  });
}

const first = ['quickstart', 'test', 'build', 'tour', 'exercises', 'microblt', 'micrograd', 'ladder:time'];

test.each(first)('npm run %s imports no package before it has installed them', (name) => {
  const [, script] = /^node (scripts\/[\w-]+\.mjs)/.exec(scripts[name]) ?? [];
  expect(script, scripts[name]).toBeDefined();
  expect(existsSync(join(root, script))).toBe(true);
  expect(packagesOf(join(root, script))).toEqual([]);
});
