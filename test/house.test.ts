/**
 * @file The state of the sources: each file says what it is for, no file and no function is long, docstrings are sentences about the thing
 * itself. Two files of kernels, which are unrolled by hand, have an allowance. It may shrink, and it must not grow.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../packages', import.meta.url));
const { MOST_FILE_LINES, MOST_FUNCTION_LINES, floorsOf, longFunctions } = (await import(
  pathToFileURL(fileURLToPath(new URL('../scripts/layout.mjs', import.meta.url))).href
)) as {
  MOST_FILE_LINES: number;
  MOST_FUNCTION_LINES: number;
  floorsOf(arrows: Map<string, string[]>): number;
  longFunctions(path: string, text: string): string[];
};

/** One source file. */
interface Source {
  readonly path: string;
  readonly text: string;
}

/** Each rule finds the offences in one file, in words. */
const rules = {
  'has an @file line at its top': ({ text }: Source) => (/^\s*\/\*\*[^/]*?@file /.test(text) ? [] : ['no @file line']),
  [`has at most ${MOST_FILE_LINES} lines`]: ({ text }: Source) => {
    const lines = text.split('\n').length - 1;
    return lines > MOST_FILE_LINES ? [`${lines} lines`] : [];
  },
  'has docstrings that name the thing': ({ text }: Source) =>
    [...text.matchAll(/\/\*\*\s*(?:\*\s*)?(?:@file\s+)?((?:What|Who|Whom|Whose)\b.{0,40})/g)].map(
      ([, begin]) => `"${begin} ..."`,
    ),
  [`has functions of at most ${MOST_FUNCTION_LINES} lines`]: ({ path, text }: Source) => longFunctions(path, text),
};

/** Offences that are still allowed, in the order of the rules. The command has none. */
const ALLOWED: Readonly<Record<string, readonly [files: number, long: number, docstrings: number, functions: number]>> =
  {
    tensor: [0, 2, 0, 3],
    autograd: [0, 0, 0, 0],
    blt: [0, 0, 0, 0],
    cli: [0, 0, 0, 0],
  };

const sources = (name: string): Source[] =>
  (readdirSync(join(root, name, 'src'), { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.generated.ts'))
    .map((file) => join(root, name, 'src', file))
    .map((path) => ({ path: relative(root, path).split(sep).join('/'), text: readFileSync(path, 'utf8') }));

describe.each(Object.entries(ALLOWED))('every file of %s', (name, allowed) => {
  const files = sources(name);
  test.each(Object.entries(rules).map(([title, rule], i) => ({ title, rule, most: allowed[i] })))(
    '$title',
    ({ rule, most }) => {
      const offences = files.flatMap((file) => rule(file).map((what) => `${file.path}: ${what}`));
      // The list itself is shown, because it says what to mend.
      expect(offences.length > most ? offences : []).toEqual([]);
    },
  );
});

test.each(['test', 'scripts', 'examples', 'bench', 'exercises'])('docstrings of %s name the thing', (folder) => {
  const repository = join(root, '..');
  const files = (readdirSync(join(repository, folder), { recursive: true }) as string[])
    .filter(
      (file) => /\.(?:ts|mjs)$/.test(file) && !/(?:^|[/\\])(?:node_modules|mine)[/\\]|house\.test\.ts$/.test(file),
    )
    .map((file) => ({ path: join(folder, file), text: readFileSync(join(repository, folder, file), 'utf8') }));
  expect(files.length).toBeGreaterThan(5);
  const offences = files.flatMap((file) => {
    // A script may begin with a line comment in the place of @file.
    const first = /^(?:\/\/ )(What|Who|Whom|Whose)\b/.exec(file.text);
    return [...rules['has docstrings that name the thing'](file), ...(first ? [`"${first[1]} ..."`] : [])].map(
      (found) => `${file.path}: ${found}`,
    );
  });
  expect(offences).toEqual([]);
});

test.each(Object.keys(ALLOWED))('the folders of test/%s are folders of its sources', (name) => {
  const tests = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const folders = (readdirSync(tests, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts'))
    .map((file) => dirname(file).split(sep).join('/'));
  const strangers = [...new Set(folders)].filter((folder) => !existsSync(join(root, name, 'src', folder)));
  expect(strangers).toEqual([]);
});

test('the rules find what they look for', () => {
  const lines = (n: number) => Array.from({ length: n }, (_, i) => `  f(${i});\n`).join('');
  const file = (text: string): Source => ({ path: 'x.ts', text });
  const [header, long, docstrings, functions] = Object.values(rules);
  expect(header(file('/**\n * @file Words.\n */\n'))).toEqual([]);
  expect(header(file('/** Words. */\n'))).toHaveLength(1);
  expect(long(file(lines(300)))).toEqual([]);
  expect(long(file(lines(301)))).toEqual(['301 lines']);
  expect(docstrings(file('/** Whatever is read. */\n/** The word What. */\n'))).toEqual([]);
  expect(
    docstrings(file('/** What is read. */\n/**\n * Whose turn it is.\n */\n/** @file Who writes. */')),
  ).toHaveLength(3);
  expect(functions(file(`const a = () => {\n${lines(58)}};\n`))).toEqual([]);
  expect(functions(file(`function b() {\n${lines(59)}}\n`))).toEqual(['b has 61 lines']);
  expect(functions(file(`class C {\n  d() {\n${lines(59)}  }\n}\n`))).toEqual(['d has 61 lines']);
});

test('floors are the files on the longest chain of imports', () => {
  const tower = [
    ['page', ['door', 'cellar']],
    ['door', ['stairs']],
    ['stairs', ['cellar']],
    ['cellar', []],
    ['shed', []],
  ] as const;
  expect(floorsOf(new Map(tower.map(([file, next]) => [file, [...next]])))).toBe(4);
  expect(floorsOf(new Map([['shed', []]]))).toBe(1);
  expect(floorsOf(new Map())).toBe(0);
});
