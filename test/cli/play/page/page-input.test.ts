/** The page of `blt play` in unkind hands: the keyboard alone, dropped files, a GPU that is lost. BLT_TEST_CHROMIUM=1 runs it. */
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { blt } from '../../../support/command.ts';
import {
  browserWanted,
  content,
  launchChromium,
  openPage,
  pageFiles,
  ready,
  says,
  servedPage,
} from '../../../support/play-page.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const TEXT = 'The whale swam in the sea, and the sea was deep and cold. '.repeat(30);

/** The work of a hand: files of this machine, dragged over the page and dropped. */
async function drop(page: Page, files: string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    const data = { items: [], files, dragOperationsMask: 1 };
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 200, data });
  }
  await session.detach();
}

test('the page that these tests open has been built', () => {
  expect(pageFiles()).toEqual(expect.arrayContaining(['index.html', 'main.js', 'worker.js', 'gpu.js']));
});

if (browserWanted) {
  describe('in Chromium', () => {
    const { onPage, url } = servedPage();

    test('dropped files: an empty one and one of 1 GB get a sentence, a text is cut, a folder is loaded', () =>
      onPage(async (page) => {
        const folder = temporaryFolder({
          'empty.txt': '',
          'huge.bin': '',
          'text.txt': 'a dropped text',
          'book.txt': TEXT,
        });
        truncateSync(join(folder, 'huge.bin'), 1e9);
        await drop(page, [join(folder, 'empty.txt')]);
        await says(page, 'text-error', /empty\.txt is empty: 0 bytes have no patches/);
        await drop(page, [join(folder, 'huge.bin')]);
        await says(page, 'text-error', /huge\.bin is 1\.00 GB; this page reads up to 16\.0 MB/);
        expect(await content(page, 'patch-summary')).toMatch(/^\d+ patches/);
        await drop(page, [join(folder, 'text.txt')]);
        await page.waitForFunction(
          () => (document.getElementById('text') as HTMLTextAreaElement).value === 'a dropped text',
        );
        expect(await page.locator('#text-error').isVisible()).toBe(false);

        const tiny =
          '--local-width 8 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --steps 1 --data book.txt --run first'.split(
            ' ',
          );
        expect(blt(folder, ['train', ...tiny]).code).toBe(0);
        await drop(page, [join(folder, 'runs', 'first')]);
        await says(page, 'checkpoint-facts', /first\/step-000001: .* parameters/);
      }));

    test('the keyboard alone reaches every control, cuts, trains and generates', () =>
      onPage(async (page) => {
        const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
        const visible = await page.evaluate(() =>
          [...document.querySelectorAll<HTMLInputElement>('input, select, textarea, button, [tabindex="0"]')]
            .filter((control) => !control.disabled && control.checkVisibility())
            .map((control) => control.id),
        );
        // One round of Tab: what is reached, in its order. It ends where it began, so nothing holds the reader fast.
        await page.evaluate(() => {
          const state = globalThis as unknown as { order: string[] };
          state.order = [];
          addEventListener('focusin', ({ target }) => state.order.push((target as HTMLElement).id));
        });
        await page.focus('#text');
        let round: string[] | null = null;
        for (let i = 1; i <= 140 && !round; i++) {
          await page.keyboard.press('Tab');
          if (i % 20 > 0) continue;
          const order = await page.evaluate(() => (globalThis as unknown as { order: string[] }).order);
          if (order.includes('text', 1)) round = order.slice(0, order.indexOf('text', 1));
        }
        expect(visible.filter((id) => !round?.includes(id))).toEqual([]);
        const goTo = async (id: string) => {
          for (let i = 0; i < 140 && (await focused()) !== id; i++) await page.keyboard.press('Tab');
          expect(await focused()).toBe(id);
        };
        await page.focus('#text');

        await goTo('text');
        await page.keyboard.press('Control+A');
        await page.keyboard.insertText(TEXT);
        await says(page, 'text-facts', /^1,740 bytes/);
        await goTo('threshold');
        const before = await content(page, 'threshold-value');
        for (let i = 0; i < 20; i++) await page.keyboard.press('ArrowRight');
        expect(await content(page, 'threshold-value')).not.toBe(before);
        await goTo('train-mode');
        await page.keyboard.type('spaces');
        await goTo('train-steps');
        await page.keyboard.type('2');
        await page.keyboard.press('Enter');
        await says(page, 'train-status', /^Done/);
        await goTo('prompt');
        await page.keyboard.type('The');
        await page.keyboard.press('Enter');
        await says(page, 'generate-status', /bytes per second/);
      }));

    test('a GPU that is lost while it trains is told with a remedy, and another backend goes on', async () => {
      // A browser of its own: the other tests want theirs whole.
      const own = await launchChromium();
      try {
        const { page } = await openPage(own, url());
        await ready(page);
        await page.selectOption('#backend', 'webgpu');
        await says(page, 'backend-facts', /^webgpu: /);
        await page.fill('#text', TEXT);
        await page.selectOption('#train-mode', 'space');
        await page.fill('#train-steps', '50');
        await page.click('#train-start');
        await says(page, 'train-status', /the first step is under way|step \d/);
        const session = await own.newBrowserCDPSession();
        await session.send('Browser.crashGpuProcess');
        await says(page, 'train-error', /^the GPU was lost \(.*\); .* Choose another backend under Backends/);
        await page.selectOption('#backend', 'wasm');
        await says(page, 'backend-facts', /^wasm: /);
        await page.fill('#text', 'Patches once more.');
        await says(page, 'text-facts', /^18 bytes/);
        await says(page, 'patch-summary', /^\d{1,2} patches/);
        expect(await page.locator('#text-error').isVisible()).toBe(false);
        await page.fill('#text', TEXT);
        await page.fill('#train-steps', '1');
        await page.click('#train-start');
        await says(page, 'train-status', /^Done/);
      } finally {
        await own.close();
      }
    });
  });
}
