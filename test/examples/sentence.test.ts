/** @file docs/tour.md, the tour of one sentence, shows what `npm run tour` prints, and names symbols that are where it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tour } from '../../examples/sentence.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/tour.md'), 'utf8');
const stops = tour();

test('the page has the thirteen stops in order', () => {
  const titles = [...page.matchAll(/^## \d+\. (.*)$/gm)].map(([, title]) => title);
  expect(titles).toEqual(stops.map(({ title }) => title));
  expect(titles).toHaveLength(13);
});

test.each(stops.map((stop, i) => ({ place: i + 1, ...stop })))('stop $place: $title', (stop) => {
  const { place, title, symbol, file, shape, picture } = stop;
  const section = page.split(`## ${place}. ${title}\n`)[1].split(/\n## /)[0];
  expect(section).toContain(`[\`${symbol}\`](../${file}) · ${shape}\n`);
  expect(/```\n([\s\S]*?)\n```/.exec(section)?.[1].split('\n')).toEqual(picture);
  const source = readFileSync(join(root, file), 'utf8');
  expect(source).toMatch(new RegExp(`export (?:function|class|const) ${symbol}\\b`));
});

test('the difference quotient is the gradient', () => {
  const [gradient, quotient] = stops[11].picture;
  expect(quotient).toContain(`: ${gradient.split(/\s+/)[6]}`);
});
