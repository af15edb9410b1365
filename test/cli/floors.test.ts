/** @file The folders of the command are floors: a file imports from its own floor and from those below, and imports make no circle. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../packages/cli/src', import.meta.url));

/** From the bottom up, with the files that stand on no floor. */
const FLOORS = [
  'version.ts',
  'terminal',
  'files',
  'threads',
  'http',
  'data',
  'config',
  'prepared',
  'run',
  'stored',
  'scoring',
  'compression',
  'report',
  'training',
  'study',
  'sweep',
  'play',
  'serve',
  'commands',
  'command-line',
  'blt.ts',
];

const files = (readdirSync(root, { recursive: true }) as string[])
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.split(sep).join('/'));
const floorOf = (file: string): number => FLOORS.indexOf(file.split('/')[0]);
const importsOf = new Map(
  files.map((file) => [
    file,
    [...readFileSync(join(root, file), 'utf8').matchAll(/(?:\bfrom |\bimport\()'(\.[^']+)'/g)].map(([, to]) =>
      relative(root, resolve(root, dirname(file), to))
        .split(sep)
        .join('/'),
    ),
  ]),
);

test('every folder is a floor', () => {
  expect(files.filter((file) => floorOf(file) === -1)).toEqual([]);
  expect(new Set(files.map(floorOf)).size).toBe(FLOORS.length);
});

test('imports point down', () => {
  const up = files.flatMap((file) =>
    importsOf.get(file)!.flatMap((to) => (floorOf(to) > floorOf(file) ? [`${file} imports ${to}`] : [])),
  );
  expect(up).toEqual([]);
});

test('imports make no circle', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    else if (!done.has(file)) {
      for (const to of importsOf.get(file) ?? []) visit(to, [...path, file]);
      done.add(file);
    }
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
