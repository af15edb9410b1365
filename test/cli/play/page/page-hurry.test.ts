/** The page of `blt play` in a hurried hand: what was asked for last is what is shown. BLT_TEST_CHROMIUM=1 runs it. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { browserWanted, content, pageFiles, says, servedPage } from '../../../support/play-page.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const TEXT = 'The whale swam in the sea, and the sea was deep and cold. '.repeat(30);
const enabled = (page: Page, id: string): Promise<unknown> => page.waitForSelector(`#${id}:not(:disabled)`);

test('the page that these tests open has been built', () => {
  expect(pageFiles()).toEqual(expect.arrayContaining(['index.html', 'main.js', 'worker.js']));
});

if (browserWanted) {
  describe('in Chromium', () => {
    const { onPage } = servedPage();

    test('a new beginning ends the patch under way, and its text gets no byte of the old one', () =>
      onPage(async (page) => {
        await enabled(page, 'stepping-patch');
        await page.fill('#stepping-prompt', 'Moby Dick is');
        await page.evaluate(() => {
          document.getElementById('stepping-patch')!.click();
          document.getElementById('stepping-begin')!.click();
        });
        await says(page, 'stepping-text', /^Moby␣Dick/);
        // The same worker answers this after all that was asked of it before.
        const readings = await page.locator('#seeing').evaluate((place) => Number(place.dataset.readings));
        await page.fill('#text', 'Another text.');
        await page.waitForFunction((n) => Number(document.getElementById('seeing')!.dataset.readings) > n, readings);
        expect(await content(page, 'stepping-text')).toMatch(/^Moby␣Dick␣is\??$/);
        await page.click('#stepping-next');
        await says(page, 'stepping-gate', /So far 14 ids/);
      }));

    test('texts of the buttons, shorter texts and none: the page says what is so now', () =>
      onPage(async (page) => {
        const folder = temporaryFolder({ 'raw.bin': Uint8Array.of(0, 255, 10, 65) });
        await page.setInputFiles('#text-file', join(folder, 'raw.bin'));
        await says(page, 'text-facts', /^4 bytes/);
        await page.click('#try-rare');
        await says(page, 'text-facts', /^106 bytes/);
        expect(await page.locator('#text').isVisible()).toBe(true);
        expect(await page.locator('#file-note').isVisible()).toBe(false);

        await page.selectOption('#mode', 'byte');
        await page.locator('#strip').focus();
        await page.keyboard.press('End');
        expect(await content(page, 'byte-facts')).toMatch(/^Byte 105: /);
        await page.fill('#text', 'one');
        expect(await content(page, 'byte-facts')).toMatch(/^Point at a byte/);
        expect(await page.locator('#strip').getAttribute('aria-valuetext')).toBe('no byte chosen');
        expect(await page.locator('#strip').getAttribute('aria-valuenow')).toBe('0');
        await page.fill('#text', '');
        await page.click('#step-take');
        expect(await content(page, 'step-summary')).toBe('There is no text to learn from.');

        await page.fill('#max-bytes', '5');
        await page.evaluate(() => {
          document.getElementById('generate-start')!.click();
          (document.getElementById('max-bytes') as HTMLInputElement).value = '5000';
        });
        await says(page, 'generate-status', /^5 bytes in .*; done\.$/);
      }));

    test('training that is stopped stays stopped on another backend, and a refused run leaves the stopped one', () =>
      onPage(async (page) => {
        await page.fill('#text', TEXT);
        await page.selectOption('#train-mode', 'space');
        await page.fill('#train-steps', '1000');
        await page.click('#train-start');
        await says(page, 'train-status', /Model step/);
        expect(await content(page, 'train-news')).toBe('Training has begun.');
        await page.click('#train-pause');
        await says(page, 'train-status', /^Stopped/);
        await page.fill('#text', 'too short');
        await page.click('#train-start');
        await says(page, 'train-error', /there are 9 bytes to train on/);
        await page.click('#train-continue');
        await says(page, 'train-status', /^Model step/);
        expect(await page.locator('#train-error').isVisible()).toBe(false);

        await page.evaluate(() => {
          document.getElementById('train-pause')!.click();
          const backend = document.getElementById('backend') as HTMLSelectElement;
          backend.value = 'reference';
          backend.dispatchEvent(new Event('change'));
        });
        await says(page, 'backend-facts', /^reference: /);
        await enabled(page, 'backend');
        await says(page, 'train-status', /^Stopped/);
        // What goes on does so at once.
        await page.waitForTimeout(200);
        expect(await content(page, 'train-status')).toMatch(/^Stopped/);
        expect(await content(page, 'train-news')).toBe('Training has stopped.');
        expect(await page.locator('#train-continue').isEnabled()).toBe(true);
      }));
  });
}
