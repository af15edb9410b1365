/** @file packages/autograd/README.md: its example runs, its files are there, and none is left out. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { links } from '../support/markdown.ts';
import { runExample } from '../support/readme-example.ts';

const folder = fileURLToPath(new URL('../../packages/autograd', import.meta.url));
const readme = readFileSync(join(folder, 'README.md'), 'utf8');

test('the example prints what its comment says', async () => {
  const { stdout, stderr } = await runExample('packages/autograd/README.md');
  expect(stderr).toBe('');
  const [, said] = /console\.log.*\/\/ (.*)$/m.exec(readme)!;
  expect(stdout.trim()).toBe(said);
});

test('the table names every source file, in an order where each imports only files above it', () => {
  const named = links(readme).filter((path) => path.startsWith('src/'));
  const places = named.map((path) => path.slice('src/'.length));
  expect([...places].sort()).toEqual(readdirSync(join(folder, 'src')).filter((name) => name !== 'index.ts').sort()); // biome-ignore format: one line
  for (const [place, name] of places.entries()) {
    if (!name.endsWith('.ts')) continue;
    const imported = readFileSync(join(folder, 'src', name), 'utf8').matchAll(/from '\.\/([a-z-]+)(\.ts|\/)/g);
    for (const [, file, end] of imported) {
      // index.ts is all of them.
      if (file === 'index') continue;
      const above = places.indexOf(end === '/' ? file : `${file}.ts`);
      expect(above >= 0 && above < place, `${name} imports ${file}, which stands below it`).toBe(true);
    }
  }
});
