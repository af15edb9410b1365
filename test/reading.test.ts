/**
 * @file docs/reading.md: the words of its two paths are counted again, each walk is at most four files long, and each file defines the
 * symbols that its step names.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const docs = fileURLToPath(new URL('../docs', import.meta.url));
const page = readFileSync(join(docs, 'reading.md'), 'utf8');
const walks = page.split(/^### /m).slice(1).map((section) => ({
  title: section.split('\n')[0],
  steps: [...section.matchAll(/^\| (\d) \| (.*?) \| \[.*?\]\((.*?)\) \|/gm)].map(([, place, symbols, path]) => ({
    place: Number(place),
    symbols: [...symbols.matchAll(/`(\w+)`/g)].map(([, symbol]) => symbol),
    text: readFileSync(resolve(docs, path), 'utf8'),
  })),
})); // biome-ignore format: one chain

test('there are three walks', () => {
  expect(walks.map(({ title }) => title)).toEqual([
    'To the SIMD multiply',
    'To the gradient of attention',
    'To a patch boundary',
  ]);
});

describe.each(walks)('$title', ({ steps }) => {
  test('has two to four files', () => {
    expect(steps.map(({ place }) => place)).toEqual([1, 2, 3, 4].slice(0, steps.length));
    expect(steps.length).toBeGreaterThan(1);
  });
  test('names symbols that their files define', () => {
    for (const { symbols, text } of steps) {
      expect(symbols.length).toBeGreaterThan(0);
      for (const symbol of symbols) {
        expect(text, symbol).toMatch(new RegExp(`(?:function\\*?|const|class) ${symbol}\\b|^ {2}${symbol}: \\{`, 'm'));
      }
    }
  });
});

/** The texts of a row of a path: those of its links, or the parts of one that the row names. */
function textOf(row: string): string {
  const files = [...row.matchAll(/\]\((.*?)\)/g)].map(([, path]) => readFileSync(resolve(docs, path), 'utf8'));
  const [file = ''] = files;
  const stops = /stops (\d+) to (\d+)/.exec(row);
  if (stops) {
    const [from, to] = [Number(stops[1]), Number(stops[2])];
    // The introduction is read with the first stop.
    return file
      .split(/^## /m)
      .slice(from === 1 ? 0 : from, to + 1)
      .join('');
  }
  const parts = /parts (\d) and (\d)/.exec(row);
  if (parts) return [parts[1], parts[2]].map((part) => file.split('// ----- ')[Number(part)]).join('');
  return row.includes('table of doors') ? file.split('| door |')[0] : files.join('');
}

test('the paths have as many words as they say, and take the minutes that they say', () => {
  const paths = page.split(/^## /m).filter((section) => /^\| do \| words \|$/m.test(section));
  const sums = paths.map((section) =>
    [...section.matchAll(/^\| (.*) \| (\d+) \|$/gm)].reduce((sum, [, row, said]) => {
      const words = textOf(row)
        .split(/\s+/)
        .filter((word) => /\w/.test(word)).length;
      expect(Math.abs(words - Number(said)), `${row}: ${words} words`).toBeLessThanOrEqual(0.1 * words);
      return sum + Number(said);
    }, 0),
  );
  const said = /first table take (\d+) minutes at 200 words a minute, and\s+those of the second (\d+)\./.exec(page);
  expect(said?.slice(1).map(Number)).toEqual(sums.map((sum) => Math.round(sum / 200)));
});
