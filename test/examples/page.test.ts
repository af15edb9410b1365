/** @file The example page is one file. BLT_TEST_CHROMIUM=1 opens it in headless Chromium, where it learns the curve. */
import { expect, test } from 'vitest';
import { inChromium } from '../support/chromium.ts';

const builder = new URL('../../scripts/example-page.mjs', import.meta.url).href;
const { examplePage } = (await import(builder)) as { examplePage: () => Promise<string> };
const html = await examplePage();

test('the page is one file that asks for no other', () => {
  expect(html).toMatch(/^<!doctype html>/);
  expect(html.match(/<script/g)).toHaveLength(1);
  expect(html).not.toMatch(/<(?:script|img|link)[^>]* (?:src|href)=|\/\* bundle \*\//);
});

if (process.env.BLT_TEST_CHROMIUM) {
  test('it learns the curve, and begins anew by keyboard', async () => {
    await inChromium(
      '',
      async (page, errors) => {
        const state = async () => (await page.textContent('#state')) ?? '';
        await page.waitForFunction("document.getElementById('state').textContent.startsWith('step 600')");
        // The noise of the points is 0.06, so that a right curve is off by 0.0036.
        expect(Number(/error ([\d.]+)/.exec(await state())?.[1])).toBeLessThan(0.01);
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.waitForFunction("!document.getElementById('state').textContent.startsWith('step 600')");
        expect(errors).toEqual([]);
      },
      { html },
    );
  });
}
