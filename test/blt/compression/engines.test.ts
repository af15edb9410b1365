/** @file An archive made in one engine opens in another: BLT_TEST_CHROMIUM=1 asks headless Chromium. */
import { expect, test } from 'vitest';
import { bundleForBrowser, inChromium } from '../../support/chromium.ts';
import { archiveOf as archiveHere, textOf as textHere } from '../../support/compression-page.ts';

declare const archiveOf: typeof archiveHere;
declare const textOf: typeof textHere;

const text = [...new TextEncoder().encode('Größe 日本語, for (let i = 0; i < 10; i++) { x += a[i]; }\n'.repeat(5))];

test('an archive is the same on one thread and on two, and opens on either', async () => {
  const archive = await archiveHere(text, 2);
  expect(await archiveHere(text, 1)).toEqual(archive);
  expect(await textHere(archive, 1)).toEqual(text);
});

if (process.env.BLT_TEST_CHROMIUM) {
  test('Chromium makes the archive that Node makes, and opens it', async () => {
    const script = await bundleForBrowser('./compression-page.ts', true);
    const archive = await archiveHere(text);
    const found = await inChromium(script, async (page, errors) => {
      await page.waitForFunction('globalThis.textOf');
      const made = await page.evaluate((bytes) => archiveOf(bytes), text);
      const opened = await page.evaluate((bytes) => textOf(bytes), archive);
      expect(errors).toEqual([]);
      return { made, opened };
    });
    expect(found.made).toEqual(archive);
    expect(found.opened).toEqual(text);
  });
}
