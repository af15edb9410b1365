import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeHtml } from '../../../packages/cli/src/report/html-page.ts';
import { type ReportData, renderReport } from '../../../packages/cli/src/report/report.ts';
import { runs } from '../../support/runs.ts';

function reportData(text = 'x'): ReportData {
  return {
    run: text,
    status: text,
    command: text,
    startedAt: text,
    seconds: 1187,
    steps: 1500,
    data: text,
    trainBytes: 1_073_475,
    heldOutBytes: 119_275,
    measured: text,
    bytesSeen: 2_146_950,
    patchSizeMean: 4.31,
    backend: text,
    best: { step: 340, bytes: 1_392_640, heldOutBitsPerByte: 2.2309 },
    compressors: [
      { name: 'gzip -9', bitsPerByte: 3.124, seenTraining: true },
      { name: text, bitsPerByte: 3.211, seenTraining: false },
    ],
    parameters: [
      { part: text, count: 300 },
      { part: 'decoder', count: 100 },
    ],
    curve: [
      { bytes: 0, train: null, heldOut: 8 },
      { bytes: 1000, train: 3 },
      { bytes: 2000, train: 2.5, heldOut: 2.2309 },
    ],
    excerpt: { bytes: [97, 98], patchLengths: [1, 1], entropies: [null, 2], threshold: 1.3 },
    samples: [1, 2, 3, 4, 5].map((step) => ({ step, prompt: text, text: `${text} ${step}` })),
    config: { [text]: text, nested: { lr: 0.002 } },
  };
}

/** Every `<` of the page that starts a tag, by name. */
const tags = (html: string): string[] =>
  [...html.matchAll(/<\/?([a-zA-Z!][^\s>]*)/g)].map((match) => match[1].toLowerCase());

test('the bytes of the full evaluation are named as the terminal names them', () => {
  const page = renderReport({ ...reportData(), measured: '1.05 MB of 40.0 MB' });
  expect(page).toContain('Full evaluation: 1.05 MB of 40.0 MB held out, each byte predicted');
  expect(page).toContain('The point marked best is of 1.05 MB of 40.0 MB held out.');
  expect(page).not.toContain('all held-out bytes');
});

test('passes are those over the bytes that were drawn', () => {
  const page = renderReport({ ...reportData(), trainBytes: 8_100_000, sampleBytes: 1_073_475 });
  expect(page).toContain('2,146,950 (2.15 MB), 2.00 passes over 1.07 MB that were drawn');
  expect(page).toContain('8,100,000 (8.10 MB)');
});

test('a jump of the training curve has its reason beside it, where there is one', () => {
  const says = (more: Partial<ReportData>) => renderReport({ ...reportData(), ...more }).includes('n-grams are hidden');
  expect(says({ hidesNgrams: true })).toBe(true);
  expect(says({ hidesNgrams: true, bytesSeen: 1_000_000 })).toBe(false);
  expect(says({ hidesNgrams: true, sampleBytes: 3_000_000 })).toBe(false);
  expect(says({})).toBe(false);
});

test('the report shows what was measured', () => {
  const html = renderReport(reportData());
  expect(html).toContain('<strong>2.231</strong> bits per byte on held-out text, best at step 340');
  expect(html).not.toContain('±');
  const best = { step: 340, bytes: 1_392_640, heldOutBitsPerByte: 2.2309, standardError: 0.0123 };
  expect(renderReport({ ...reportData(), best })).toContain(
    '<strong>2.231</strong> ± 0.012 bits per byte on held-out text',
  );
  expect(html).toContain('2,146,950 (2.15 MB), 2.00 passes');
  expect(html).toContain('19m 47s, 1.81 kB/s');
  expect(html).toContain('4.31 bytes');
  expect(html).toContain('300 · 75.0%');
  expect(html).toContain('gzip -9 3.12');
  expect(html).toContain('best 2.23');
  expect(html).toContain('&quot;lr&quot;: 0.002');
  expect(html).toContain('<summary>2 older</summary>');
});

test('no text, from data or model, becomes markup', () => {
  const plain = tags(renderReport(reportData('x')));
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', '/', '!', '-', 'b', 'script', ' ', '=', ']]>') }),
      (text) => {
        expect(tags(renderReport(reportData(`${text}x`)))).toEqual(plain);
      },
    ),
    { numRuns: runs(60) },
  );
});

test('the page asks for nothing from outside and runs no script', () => {
  const html = renderReport(reportData());
  expect(tags(html)).not.toContain('script');
  expect(
    html.replaceAll('http://www.w3.org/2000/svg', '').replaceAll(encodeURIComponent('http://www.w3.org/2000/svg'), ''),
  ).not.toMatch(/https?:|@import|src=/);
  expect(html).toContain("default-src 'none'");
});

test('every tag that is opened is closed', () => {
  const html = renderReport(reportData()).replace(/<!doctype html>/, '');
  const open: string[] = [];
  for (const [, slash, name, , self] of html.matchAll(/<(\/?)([a-z1-6A-Z]+)((?:\s[^<>]*?)?)(\/?)>/g)) {
    if (name === 'meta' || self === '/') continue;
    if (slash === '') open.push(name);
    else expect(open.pop()).toBe(name);
  }
  expect(open).toEqual([]);
});

test('a run without figures still has a report', () => {
  const html = renderReport({
    ...reportData(),
    best: null,
    compressors: [],
    parameters: [],
    curve: [],
    excerpt: undefined,
    samples: [],
    config: undefined,
    seconds: 0,
    trainBytes: 0,
    patchSizeMean: undefined,
  });
  expect(html).toContain('No held-out figure');
  expect(html).toContain('Nothing has been measured yet.');
  expect(html).not.toMatch(/NaN|undefined|Infinity/);
});

test('the data is plain JSON: stored and read again it gives the same page', () => {
  const data = reportData();
  expect(renderReport(JSON.parse(JSON.stringify(data)) as ReportData)).toBe(renderReport(data));
});

test('escaping leaves nothing that means something in HTML', () => {
  expect(escapeHtml(`<a href="x" id='y'>&`)).toBe('&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;');
});
