import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../packages', import.meta.url));

/** From the bottom up: a package may use those before it. */
const layers = ['tensor', 'autograd', 'blt', 'cli'];

interface Import {
  readonly file: string;
  readonly from: string;
}

/** Import and export statements, and calls of import(), of a source text. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = code.matchAll(
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"`]([^'"`]+)['"`]/gm,
  );
  return [...statements].map((m) => m[1] ?? m[2] ?? m[3]);
}

const sources = (name: string): string[] =>
  (readdirSync(join(root, name, 'src'), { recursive: true }) as string[])
    .map((file) => join(root, name, 'src', file))
    // AssemblyScript has no package imports, and its own compiler checks the relative ones.
    .filter((file) => file.endsWith('.ts') && !file.includes(`${sep}assembly${sep}`));

const importsIn = (name: string): Import[] =>
  sources(name).flatMap((file) =>
    importsOf(readFileSync(file, 'utf8')).map((from) => ({ file: relative(root, file), from })),
  );

const isNode = (from: string) => from.startsWith('node:') || builtinModules.includes(from);

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}
const manifest = (name: string) => JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8')) as Manifest;

test('the packages are the four layers', () => {
  expect(readdirSync(root).sort()).toEqual([...layers].sort());
  for (const name of layers) expect(manifest(name).name).toBe(`@blt-ts/${name}`);
});

describe.each(layers)('%s', (name) => {
  const below = layers.slice(0, layers.indexOf(name));
  const imports = importsIn(name);
  const { dependencies, peerDependencies, devDependencies } = manifest(name);
  // The command is one file with most packages in it; those are for its build. A name with # is one of the package's own files.
  const declared = Object.keys({ ...dependencies, ...peerDependencies, ...(name === 'cli' ? devDependencies : {}) });

  test('has sources, and they import something', () => {
    expect(imports.length).toBeGreaterThan(0);
  });
  test('depends on lower layers alone', () => {
    for (const dependency of declared.filter((d) => d.startsWith('@blt-ts/'))) {
      expect(below, `package.json of ${name} depends on ${dependency}`).toContain(dependency.slice('@blt-ts/'.length));
    }
    for (const { file, from } of imports.filter((i) => i.from.startsWith('@blt-ts/'))) {
      expect(below, `${file} imports ${from}`).toContain(from.split('/')[1]);
    }
  });
  test('reaches other packages by name, never by a relative path', () => {
    for (const { file, from } of imports.filter((i) => i.from.startsWith('.'))) {
      const target = resolve(root, dirname(file), from);
      expect(target.startsWith(join(root, name, 'src') + sep), `${file} imports ${from}`).toBe(true);
    }
  });
  test('names every package it imports in its package.json', () => {
    for (const { file, from } of imports.filter((i) => !/^[.#]/.test(i.from) && !isNode(i.from))) {
      const dependency = from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/');
      expect(declared, `${file} imports ${from}`).toContain(dependency);
    }
  });
  if (name !== 'cli') {
    test('runs in a browser: no module of Node', () => {
      expect(imports.filter((i) => isNode(i.from)).map(({ file, from }) => `${file} imports ${from}`)).toEqual([]);
    });
  }
});

test('the import reader sees every form', () => {
  const text = `
    // import { no } from 'comment';
    /* import no from 'comment' */
    import 'a';
    import b from 'b';
    import type { C } from "c";
    import {
      d,
      type E,
    } from './d.ts';
    export * from 'f';
    export { g } from 'g';
    export const x = 'not from "h"';
    const y = await import('node:i');
  `;
  expect(importsOf(text)).toEqual(['a', 'b', 'c', './d.ts', 'f', 'g', 'node:i']);
});
