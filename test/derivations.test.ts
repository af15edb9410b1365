/**
 * @file docs/derivations/: the numbers of each worked example are what the library computes, quoted code is the code, links to symbols
 * lead to their definitions, and every program prints what stands behind it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { agrees, decimals, rowsByHand } from './support/page-numbers.ts';
import { printedBy } from './support/page-program.ts';
import { workedExamples } from './support/worked-examples.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const { programs, promised, quotes } = await import(pathToFileURL(join(root, 'scripts', 'run-page.mjs')).href);

const folder = 'docs/derivations';
const derivations = readdirSync(join(root, folder))
  .filter((file) => file.endsWith('.md') && file !== 'README.md')
  .map((file) => file.slice(0, -'.md'.length));
const pages = readdirSync(join(root, 'docs'), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.md'))
  .map((file) => join('docs', file));

/** How a symbol looks where it is defined: a function, constant, type, class, method, property or kernel of the contract. */
const defines = (text: string, symbol: string): boolean =>
  new RegExp(
    `(?:function\\*?|const|let|class|interface|type) ${symbol}\\b|^ +(?:readonly |private |\\* ?|\\*)?${symbol}(?:\\(|\\?|:|<|,)`,
    'm',
  ).test(text);

describe.each(pages.filter((page) => programs(read(page)).length + quotes(read(page)).length > 0))('%s', (page) => {
  const text = read(page);
  const found: string[] = programs(text);
  test.each(found.map((program, i) => ({ name: `program ${i + 1}`, program })))(
    '$name prints what it says',
    async ({ program }) => {
      expect(await printedBy(program)).toEqual(promised(program));
    },
  );
  const quoted: { file: string; text: string }[] = quotes(text);
  test.each(quoted)('quotes $file as it stands', ({ file, text: quote }) => {
    const lines = (source: string) =>
      source
        .split('\n')
        .map((line) => line.trim())
        .join('\n');
    expect(existsSync(join(root, file))).toBe(true);
    expect(lines(read(file))).toContain(lines(quote));
  });
});

test.each(pages)('%s: a link whose text is a symbol leads to a file that defines it', (page) => {
  const wrong = [...read(page).matchAll(/\[`([A-Za-z_]\w*)(?:\(\))?`\]\(([^)#]+\.m?[tj]s)\)/g)]
    .map(([, symbol, path]) => ({ symbol, file: resolve(root, dirname(page), path) }))
    .filter(({ symbol, file }) => !existsSync(file) || !defines(readFileSync(file, 'utf8'), symbol));
  expect(wrong).toEqual([]);
});

test('every derivation has a worked example, and the README leads to each', () => {
  expect(Object.keys(workedExamples).sort()).toEqual(derivations.sort());
  const linked = [...read(join(folder, 'README.md')).matchAll(/\]\(([\w-]+)\.md\)/g)].map(([, name]) => name);
  expect([...new Set(linked)].sort()).toEqual(derivations);
});

describe.each(derivations)('%s', (name) => {
  const text = read(join(folder, `${name}.md`));
  const { rows, said } = workedExamples[name]();

  test('every row of a table under "By hand" or "In numbers" is what the library computes', () => {
    const byHand = rowsByHand(text);
    expect(byHand.map(({ label }) => label).sort()).toEqual(Object.keys(rows).sort());
    for (const { label, numbers } of byHand) {
      expect(numbers.length, label).toBe(rows[label].length);
      numbers.forEach((printed, i) => {
        expect(
          agrees(printed, rows[label][i]),
          `${label}: the page has ${printed}, computed is ${rows[label][i]}`,
        ).toBe(true);
      });
    }
  });

  test('every number with decimals in the text was computed', () => {
    const computed = [...Object.values(rows).flatMap((row) => [...row]), ...said];
    // A minus in a formula may be an operator.
    const size = (printed: string) => printed.replace(/^-/, '');
    expect(decimals(text).filter((n) => !computed.some((value) => agrees(size(n), Math.abs(value))))).toEqual([]);
  });

  test('a program checks it: the gradient against difference quotients, or the update against its definition', () => {
    const checked: string[] = programs(text);
    expect(checked.some((program) => program.includes(name === 'adamw' ? 'new AdamW(' : 'gradcheck('))).toBe(true);
  });
});

test('the glossary has 41 words in order, one sentence and one symbol each', () => {
  const rows = [...read('docs/glossary.md').matchAll(/^\| ([^|]+) \| ([^|]+) \| \[`\w+`\]\(\S+\) \|$/gm)];
  const words = rows.map(([, word]) => word.toLowerCase());
  expect(words).toHaveLength(41);
  expect(words).toEqual([...words].sort());
  for (const [, word, sentence] of rows) expect(sentence, word).toMatch(/^[A-Z][^.]*\.$/);
});
