/** @file No group of source files imports each other in a circle: `node scripts/circles.mjs` lists those there are. */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const { circles, circlesOf, importsIn } = (await import(pathToFileURL(join(root, 'scripts', 'circles.mjs')).href)) as {
  circles(name: string): string[][];
  circlesOf(arrows: Map<string, string[]>): string[][];
  importsIn(folder: string): Map<string, string[]>;
};

test.each(['tensor', 'autograd', 'blt', 'cli'])('packages/%s has no circle of imports', (name) => {
  expect(circles(name)).toEqual([]);
});

test('the finder names the members of each circle, and no file that only leads to one', () => {
  const arrows = new Map([
    ['a', ['b', 'x']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', ['a', 'e']],
    ['e', ['e']],
    ['x', []],
  ]);
  expect(circlesOf(arrows)).toEqual([['a', 'b', 'c'], ['e']]);
  expect(circlesOf(new Map([...arrows, ['x', ['d']]]))).toEqual([['a', 'b', 'c', 'd', 'x'], ['e']]);
});

test('the finder follows imports of types, and sees every source file', () => {
  const autograd = join(root, 'packages', 'autograd', 'src');
  const arrows = importsIn(autograd);
  // gradcheck.ts imports grad.ts, cotangents.ts takes a type of row-sparse.ts, and index.ts only re-exports.
  const of = (file: string) => arrows.get(join(autograd, file)) ?? [];
  expect(of('gradcheck.ts')).toContain(join(autograd, 'grad.ts'));
  expect(of('grad.ts')).toContain(join(autograd, 'cotangents.ts'));
  expect(of('index.ts').length).toBeGreaterThan(10);
  expect([...arrows.keys()].length).toBeGreaterThan(15);
});
