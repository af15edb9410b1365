// Circles of imports: `node scripts/circles.mjs [PACKAGE ...]` lists, for each package (all of them without a name), the groups of
// source files that import each other, types included. Exit code 1 if there is one. test/circles.test.ts holds packages at none.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './workspace.mjs';

/** The file behind a relative import. AssemblyScript leaves the ending out. */
const target = (from, path) =>
  [path, `${path}.ts`, `${path}/index.ts`].map((p) => resolve(dirname(from), p)).find(isFile);
const isFile = (path) => path.endsWith('.ts') && existsSync(path);

/** The source files of a folder, each with the files it imports, re-exports from, or loads with import(). */
export function importsIn(folder) {
  const files = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => path.endsWith('.ts'))
    .sort();
  const importsOf = (file) =>
    ts
      .preProcessFile(readFileSync(file, 'utf8'), true, true)
      .importedFiles.map(({ fileName }) => fileName)
      .filter((name) => name.startsWith('.'))
      .map((name) => target(file, name))
      .filter((path) => path !== undefined);
  return new Map(files.map((file) => [file, importsOf(file)]));
}

/** The groups of two or more nodes that reach each other (strongly connected components, Tarjan 1972), and nodes that reach themselves. */
export function circlesOf(arrows) {
  const index = new Map();
  const lowest = new Map();
  const stack = [];
  const circles = [];
  const visit = (node) => {
    index.set(node, index.size);
    lowest.set(node, index.get(node));
    stack.push(node);
    for (const next of arrows.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) lowest.set(node, Math.min(lowest.get(node), lowest.get(next)));
    }
    if (lowest.get(node) !== index.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    if (group.length > 1 || arrows.get(node)?.includes(node)) circles.push(group.sort());
  };
  for (const node of arrows.keys()) if (!index.has(node)) visit(node);
  return circles.sort(([a], [b]) => (a < b ? -1 : 1));
}

export const packages = () => readdirSync(join(root, 'packages')).sort();

/** The circles of a package, as paths from its src folder. */
export function circles(name) {
  const folder = join(root, 'packages', name, 'src');
  const short = (file) => relative(folder, file).split(sep).join('/');
  return circlesOf(importsIn(folder)).map((group) => group.map(short));
}

if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  const names = argv.slice(2).length > 0 ? argv.slice(2) : packages();
  const unknown = names.filter((name) => !packages().includes(name));
  if (unknown.length > 0) {
    console.error(`there is no package ${unknown.join(', ')}, only ${packages().join(', ')}`);
    process.exit(2);
  }
  for (const name of names) {
    const found = circles(name);
    console.log(`${name}: ${found.length === 1 ? '1 circle' : `${found.length} circles`}`);
    for (const group of found) console.log(`  ${group.join('  ')}`);
    if (found.length > 0) process.exitCode = 1;
  }
}
