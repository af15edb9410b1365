import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('tensor and autograd with their WebAssembly are below 75 kB, minified and gzipped', () => {
  const script =
    "import('./scripts/library-size.mjs').then(async (m) => console.log(JSON.stringify(await m.librarySize())))";
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect((JSON.parse(stdout) as { gzipped: number }).gzipped).toBeLessThan(75_000);
});
