/** @file The page's own HTML, without a browser: what search engines, screen readers and phones ask of it, and how its text reads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../../..');
const html = readFileSync(join(root, 'packages/cli/src/play/page/index.html'), 'utf8');
const { measure, meets } = await import(pathToFileURL(join(root, 'scripts/prose.mjs')).href);

const plain = (text: string): string => text.replace(/<[^>]*>/g, '').trim();
const all = (pattern: RegExp): string[] => [...html.matchAll(pattern)].map(([, text]) => plain(text));

test('it has a language, a title, a description, and a viewport that can be zoomed', () => {
  expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
  expect(all(/<title>(.*?)<\/title>/g)).toHaveLength(1);
  const [description] = all(/<meta name="description" content="(.*?)">/g);
  expect(description?.length).toBeGreaterThan(50);
  expect(all(/<meta name="viewport" content="(.*?)">/g)).toEqual(['width=device-width, initial-scale=1']);
});

test('it has one heading of the first level, and a numbered one for each chapter in the list', () => {
  expect(all(/<h1>(.*?)<\/h1>/g)).toHaveLength(1);
  expect(html).not.toMatch(/<h[3-6]/);
  const chapters = [...html.matchAll(/<section id="(\w+)"[\s\S]*?<h2[^>]*>(\d)\. /g)].map(([, id, n]) => `${n} #${id}`);
  const links = [...html.matchAll(/<a href="(#\w+)"[^>]*>(\d) /g)].map(([, target, n]) => `${n} ${target}`);
  expect(chapters).toHaveLength(9);
  expect(links).toEqual(chapters);
});

test('each chapter begins with a sentence or two, and all of them are short', () => {
  const first = html
    .split('<section ')
    .slice(1)
    .map((section) => plain(/<h2[\s\S]*?<p>(.*?)<\/p>/.exec(section)?.[1] ?? ''));
  expect(first.filter((text) => text.length < 40)).toEqual([]);
  const figures = measure(all(/<p(?: class="muted[^"]*")?>(.*?)<\/p>/g).join('\n\n'));
  expect(meets(figures), JSON.stringify(figures)).toBe(true);
});

test('what changes many times a second is no live region, and the changes of training that count are one', () => {
  expect(html).toContain('<p id="train-status"></p>');
  expect(html).toContain('<p id="train-news" class="unseen" role="status"></p>');
});
