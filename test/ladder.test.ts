/** @file `node scripts/ladder.mjs` finds every kernel of the contract on every floor that has all of them. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chapters } from '../packages/tensor/src/contract.ts';

const root = join(import.meta.dirname, '..');

interface Rung {
  readonly floor: string;
  readonly file: string | null;
}

const EVERYWHERE = ['contract: shapes, formula', 'definition: plain loops', 'gpu: launches', 'tests'];

test('every kernel is found', () => {
  const script =
    "import('./scripts/ladder.mjs').then((m) => console.log(JSON.stringify([...m.chapterOfEachKernel()].map(([name, chapter]) => [name, chapter, m.ladder(name)]))))";
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  const found = JSON.parse(stdout) as [name: string, chapter: string, rungs: Rung[]][];
  const wanted = Object.entries(chapters).flatMap(([chapter, kernels]) =>
    Object.keys(kernels).map((name) => `${chapter} ${name}`),
  );
  expect(found.map(([name, chapter]) => `${chapter} ${name}`).sort()).toEqual(wanted.sort());
  const missing = found.flatMap(([name, , rungs]) =>
    rungs
      .filter(({ floor, file }) => file === null && EVERYWHERE.includes(floor))
      .map(({ floor }) => `${name}: ${floor}`),
  );
  expect(missing).toEqual([]);
});

test('a kernel that is not there is named', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/ladder.mjs', 'gelu'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(stderr).toBe("there is no kernel 'gelu'; node scripts/ladder.mjs lists them\n");
});
