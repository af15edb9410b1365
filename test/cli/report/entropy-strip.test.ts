import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entropyStrip, MAX_STRIP_BYTES } from '../../../packages/cli/src/report/entropy-strip.ts';
import { renderPatchesHtml } from '../../../packages/cli/src/report/patches-page.ts';
import { runs } from '../../support/runs.ts';

const encode = (text: string): number[] => [...new TextEncoder().encode(text)];
const cells = (html: string): string[] => html.match(/<b.*?<\/b>/gs) ?? [];
const labels = (html: string): string[] => cells(html).map((cell) => /<u[^>]*>(.*?)<\/u>/s.exec(cell)?.[1] ?? '');

test('there is one cell a byte and one start a patch', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(7), { maxLength: 20 }), fc.boolean(), (patchLengths, withEntropies) => {
      const count = patchLengths.reduce((sum, length) => sum + length, 0);
      const bytes = Array.from({ length: count }, (_, i) => (i * 89) % 256);
      const entropies = withEntropies ? bytes.map((byte) => (byte % 5 === 0 ? null : byte / 64)) : undefined;
      const html = entropyStrip({ bytes, patchLengths, entropies, threshold: 1.5 });
      expect(cells(html)).toHaveLength(count);
      expect(cells(html).filter((cell) => /^<b class="[^"]*start/.test(cell))).toHaveLength(
        patchLengths.filter((length) => length > 0).length,
      );
      expect(html).not.toMatch(/NaN|undefined/);
    }),
    { numRuns: runs(60) },
  );
});

test('a character stands on its lead byte, controls and broken UTF-8 are escaped, markup is text', () => {
  const bytes = [...encode('é <\n'), 0xff, ...encode('日\u0301')];
  const html = entropyStrip({ bytes, patchLengths: [bytes.length] });
  expect(labels(html)).toEqual(['é', '', '␣', '&lt;', '\\n', '\\xff', '日', '', '', '◌\u0301', '']);
});

test('the curve is one line across cells: a piece ends where the next one starts', () => {
  const entropies = [0.5, 3, 2.25, 1];
  const html = entropyStrip({ bytes: encode('abcd'), patchLengths: [1, 3], entropies, threshold: 2 });
  const paths = [...html.matchAll(/<path d="([^"]*)"/g)].map((match) => match[1]);
  for (let i = 0; i + 1 < paths.length; i++) {
    expect(/L14,([\d.]+)$/.exec(paths[i])?.[1]).toBe(/^M0,([\d.]+)L/.exec(paths[i + 1])?.[1]);
  }
  expect(paths[0]).toMatch(/^M7,/);
});

test('a value without neighbours is a dash, and a missing one is no curve', () => {
  const html = entropyStrip({ bytes: encode('abc'), patchLengths: [3], entropies: [null, 1, null] });
  expect([...html.matchAll(/<path d="([^"]*)"/g)].map((match) => match[1])).toEqual([
    '',
    expect.stringMatching(/^M3\.5,.*h7$/),
    '',
  ]);
});

test('without entropies there is neither curve nor threshold', () => {
  const html = entropyStrip({ bytes: encode('abc'), patchLengths: [3], threshold: 1 });
  expect(html).not.toContain('<svg');
  expect(html).not.toContain('threshold');
});

test('a long text is cut, and says so', () => {
  const bytes = new Array(MAX_STRIP_BYTES + 5).fill(97);
  const html = entropyStrip({ bytes, patchLengths: [bytes.length] });
  expect(cells(html)).toHaveLength(MAX_STRIP_BYTES);
  expect(html).toContain(`The first ${MAX_STRIP_BYTES} of ${bytes.length} bytes are shown.`);
});

test('numbers that do not fit together are refused with both', () => {
  expect(() => entropyStrip({ bytes: [1, 2], patchLengths: [3] })).toThrow(/add up to 3.*2 bytes/);
  expect(() => entropyStrip({ bytes: [1, 2], patchLengths: [2], entropies: [1] })).toThrow(/1 entropies for 2 bytes/);
});

test('the page of patches counts lengths, and all text in it is escaped', () => {
  const evil = '<img src=x onerror=alert(1)>"\'&';
  const html = renderPatchesHtml([
    {
      bytes: encode('abcdef'),
      patchLengths: [1, 1, 4, 0],
      entropies: [null, 2, 2, 1, 1, 1],
      threshold: 1.5,
      source: evil,
      mode: evil,
      model: evil,
    },
  ]);
  expect(html).not.toContain('<img');
  expect(html).toContain('6 bytes · 3 patches · 2.00 bytes per patch');
  expect(html).toMatch(/1 byte<\/span><span class="number">2<\/span>/);
  expect(html).toMatch(/4 bytes<\/span><span class="number">1<\/span>/);
});
