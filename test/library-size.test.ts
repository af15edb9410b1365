import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('the library is small, minified and gzipped: all of it, a product with its gradient, and that without WebAssembly', () => {
  const script =
    "import('./scripts/library-size.mjs').then(async (m) => console.log(JSON.stringify(await m.librarySize())))";
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  const size = JSON.parse(stdout) as Record<'gzipped' | 'product_gzipped' | 'product_on_reference_gzipped', number>;
  expect(size.gzipped).toBeLessThan(75_000);
  expect(size.product_gzipped).toBeLessThan(55_000);
  expect(size.product_on_reference_gzipped).toBeLessThan(20_000);
});
