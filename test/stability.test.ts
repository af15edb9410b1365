/** @file Every export has a mark that says how far it can be relied on, and the documentation of the library is complete. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as autograd from '@blt-ts/autograd';
import * as tensor from '@blt-ts/tensor';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const { stabilityOf, table } = (await import(pathToFileURL(join(root, 'scripts/stability.mjs')).href)) as {
  stabilityOf(name: string, file: string): string;
  table: Record<'marks' | 'files' | 'names', Record<string, string>>;
};

test('marks are known, files are there, and values by name are those of functions', () => {
  for (const mark of [...Object.values(table.files), ...Object.values(table.names)])
    expect(table.marks).toHaveProperty(mark);
  for (const file of Object.keys(table.files)) expect(existsSync(join(root, file)), file).toBe(true);
  const functions = Object.keys(table.names).filter((name) => /^[a-z]/.test(name));
  expect(functions.filter((name) => !(name in tensor) && !(name in autograd))).toEqual([]);
});

test('the longest path decides, names come first, and a file of no package has no mark', () => {
  expect(stabilityOf('grad', 'packages/autograd/src/grad.ts')).toBe('stable');
  expect(stabilityOf('vmap', 'packages/autograd/src/vmap.ts')).toBe('experimental');
  expect(stabilityOf('apply', 'packages/autograd/src/tape.ts')).toBe('internal');
  expect(stabilityOf('stopGradient', 'packages/autograd/src/tape.ts')).toBe('stable');
  expect(() => stabilityOf('x', 'bench/x.ts')).toThrow('x of bench/x.ts has no mark in scripts/stability.json');
});

test.runIf(process.env.BLT_SLOW)('TypeDoc documents every export without a warning', () => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['node_modules/typedoc/bin/typedoc', '--emit', 'none'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  expect({ warnings: `${stdout}${stderr}`.match(/.*\[(warning|error)\].*/g), status }).toEqual({
    warnings: null,
    status: 0,
  });
});
