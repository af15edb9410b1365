/** @file Threads in a browser give the bits of one. */
/** Threads in a browser: BLT_TEST_CHROMIUM=1 runs them in headless Chromium (at /usr/bin/chromium, or where CHROMIUM says). */
import { describe, expect, test } from 'vitest';
import { bundleForBrowser, inChromium } from '../../support/chromium.ts';
import { compareThreads as inNode, type ThreadsPage } from '../../support/threads-page.ts';

declare const compareThreads: ThreadsPage;

const report = async (isolated: boolean) => {
  const script = await bundleForBrowser('./threads-page.ts', true);
  return inChromium(
    script,
    async (page, errors) => {
      await page.waitForFunction('globalThis.compareThreads');
      const found = await page.evaluate(() => compareThreads(3));
      expect(errors).toEqual([]);
      return found;
    },
    { isolated },
  );
};

test('the script that browsers run finds the same bits on every number of threads in Node', async () => {
  expect(await inNode(2)).toMatchObject({ different: [] });
});

if (process.env.BLT_TEST_CHROMIUM) {
  describe('in a worker of Chromium', () => {
    test('with cross-origin isolation, three threads give the bits of one, and deterministic mode those of Node', async () => {
      const found = await report(true);
      expect(found).toMatchObject({ isolated: true, different: [] });
      expect(found.available).toBeGreaterThan(0);
      expect(found.descriptions.every((text) => text.endsWith('3 threads'))).toBe(true);
      expect(found.jobs).toBeGreaterThan(30);
      expect(found.digest).toBe((await inNode(1)).digest);
    });

    test('without it there is one thread, the description says why, and the bits are the same', async () => {
      const found = await report(false);
      expect(found).toMatchObject({ isolated: false, available: 1, different: [] });
      expect(found.descriptions.join()).toMatch(/1 thread.*SharedArrayBuffer|SharedArrayBuffer.*1 thread/);
      expect(found.digest).toBe((await inNode(1)).digest);
    });
  });
}
