/** @file docs/reading.md: each walk is at most four files long, and each file defines the symbols that its step names. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const docs = fileURLToPath(new URL('../docs', import.meta.url));
const page = readFileSync(join(docs, 'reading.md'), 'utf8');
const walks = page.split(/^## /m).slice(1).map((section) => ({
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
