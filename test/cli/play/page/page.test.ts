import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { checkpointFromSafetensors, configFromHuggingFace } from '@blt-ts/blt';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { afterAll, describe, expect, test } from 'vitest';
import { blt } from '../../../support/command.ts';
import { browserWanted, openPage, PAGE, pageFiles, ready, servedPage } from '../../../support/play-page.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

test('the whole page is under 600 kB gzipped, models and gpu.js included', () => {
  const sizes = pageFiles().map((name) => gzipSync(readFileSync(join(PAGE, name)), { level: 9 }).length);
  expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(600_000);
});

/** Holds a tiny run, once it was asked for. */
let trained: string | null = null;

const TEXT = 'The whale swam in the sea, and the sea was deep and cold. '.repeat(40);
const text = (page: Page, id: string): Promise<string> =>
  page.locator(`#${id}`).evaluate((place) => place.textContent ?? '');
const says = (page: Page, id: string, pattern: RegExp, timeout = 120_000): Promise<unknown> =>
  page.waitForFunction(
    ([element, source]) => new RegExp(source).test(document.getElementById(element)?.textContent ?? ''),
    [id, pattern.source],
    { timeout },
  );

/** Number of patch-view updates so far. */
const updates = (page: Page): Promise<number> =>
  page.locator('#latency').evaluate((place) => Number(place.dataset.updates ?? 0));

async function afterUpdate(page: Page, act: () => Promise<unknown>): Promise<void> {
  const before = await updates(page);
  await act();
  await page.waitForFunction((n) => Number(document.getElementById('latency')!.dataset.updates) > n, before);
}

/** Waits until the chapters about the whole model have read a text once more. */
async function afterReading(page: Page, act: () => Promise<unknown>): Promise<void> {
  const readings = () => page.locator('#seeing').evaluate((place) => Number(place.dataset.readings ?? 0));
  const before = await readings();
  await act();
  await page.waitForFunction((n) => Number(document.getElementById('seeing')!.dataset.readings ?? 0) > n, before);
}

/** The offences that axe-core, which was put into the page, finds there as it is: names, roles, contrast, headings, size of targets, scrolling by keyboard. */
async function offences(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    // Targets of a finger are at least 24 pixels wide and high.
    const options = { rules: { 'target-size': { enabled: true } } };
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, options);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
  });
}

if (browserWanted) {
  describe('the page in Chromium', { timeout: 180_000 }, () => {
    const { browser, url, onPage } = servedPage();
    afterAll(() => {
      if (trained) rmSync(trained, { recursive: true, force: true });
    });

    let shared: ReturnType<typeof openPage> | null = null;
    /** One page for the tests that leave nothing behind which could disturb the next one. */
    async function onSharedPage(use: (page: Page) => Promise<void>): Promise<void> {
      shared ??= openPage(await browser(), url());
      const { page, complaints } = await shared;
      await ready(page);
      await use(page);
      expect(complaints).toEqual([]);
    }

    // How long that takes is asserted by nobody and measured by `pnpm bench play`.
    test('a keystroke in 2,000 bytes computes what it can reach, and no more', () =>
      onSharedPage(async (page) => {
        await afterUpdate(page, () => page.fill('#text', TEXT.slice(0, 2000)));
        const rescored = () => page.locator('#latency').evaluate((place) => Number(place.dataset.rescored));
        expect(await rescored()).toBe(2001);
        for (let i = 0; i < 7; i++) {
          await page.locator('#text').evaluate(
            (field: HTMLTextAreaElement, at) => {
              field.focus();
              field.setSelectionRange(at, at);
            },
            (i * 397) % 2000,
          );
          await afterUpdate(page, () => page.keyboard.type('x'));
          // The shipped model has one layer that looks 127 bytes back.
          expect(await rescored()).toBeLessThanOrEqual(255);
        }
        expect(await text(page, 'text-facts')).toContain('2,007 bytes');
      }));

    test('modes, threshold and sizes cut as the rules say, and the keyboard reads byte by byte', () =>
      onSharedPage(async (page) => {
        await afterUpdate(page, () => page.fill('#text', 'one two é'));
        await page.selectOption('#mode', 'byte');
        expect(await text(page, 'patch-summary')).toBe('10 patches, 1.00 bytes each on average, the longest 1.');
        await page.selectOption('#mode', 'space');
        expect(await text(page, 'patch-summary')).toContain('3 patches');
        await page.selectOption('#mode', 'static');
        await page.fill('#size', '5');
        // BOS counts: 4 bytes, 5 bytes, the last one.
        expect(await text(page, 'patch-summary')).toContain('3 patches');
        await page.fill('#size', '0');
        expect(await text(page, 'text-error')).toBe('bytes per patch must be a whole number of at least 1, got 0');
        await page.selectOption('#mode', 'entropy');
        await page.fill('#threshold', '-1');
        expect(await text(page, 'patch-summary')).toContain('10 patches');
        await page.fill('#threshold', '6');
        expect(await text(page, 'patch-summary')).toMatch(/^1 patch, /);
        expect(await page.locator('#text-error').isVisible()).toBe(false);

        const strip = page.locator('#strip');
        await strip.focus();
        await page.keyboard.press('End');
        expect(await strip.getAttribute('aria-valuetext')).toMatch(/^Byte 9: "é" 0xa9, byte 2 of it, entropy/);
        await page.keyboard.press('Home');
        await page.keyboard.press('ArrowRight');
        expect(await strip.getAttribute('aria-valuetext')).toMatch(/^Byte 1: "n" 0x6e, entropy \d\.\d{3} nats/);
      }));

    test('the chapters about the whole model show what it sees, makes, learns and fails at', () =>
      onSharedPage(async (page) => {
        await page.selectOption('#mode', 'entropy');
        const passage = 'Call me Ishmael. Some years ago, never mind how long precisely';
        await afterReading(page, () => page.fill('#text', passage));
        expect(await text(page, 'heat-summary')).toMatch(/^[\d.]+ bits per byte\. The first byte of a patch costs /);

        await page.locator('#bands').focus();
        await page.keyboard.press('Home');
        for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowRight');
        const said = await page.locator('#bands').getAttribute('aria-valuetext');
        expect(said).toMatch(
          /^Byte 8: "I" 0x49\. It sees 10 bytes\. Its patch \d+ of .* The decoder reads patch \d+ here\.$/,
        );
        expect(await page.locator('#bands .band4').count()).toBeGreaterThan(0);
        expect(await page.locator('#hash-rows tbody tr').count()).toBe(6);
        await page
          .locator('#bands svg')
          .first()
          .hover({ position: { x: 7, y: 10 } });
        expect(await text(page, 'bands-facts')).toMatch(/^Byte 0: "C"/);

        await page.fill('#stepping-prompt', 'The white wh');
        await page.click('#stepping-begin');
        await says(page, 'stepping-gate', /So far 13 ids took \d global steps/);
        await page.click('#stepping-next');
        await says(page, 'stepping-gate', /So far 14 ids/);
        await page.focus('#candidate-0');
        await page.keyboard.press('Enter');
        await says(page, 'stepping-gate', /So far 15 ids/);
        await page.click('#stepping-patch');
        await says(page, 'stepping-gate', /So the patch has ended/);

        await page.click('#step-take');
        await says(page, 'step-summary', /^Step 1: /);
        const [, was, is] = /cost ([\d.]+) .* costs ([\d.]+)/.exec(await text(page, 'step-summary'))!;
        expect(Number(is)).toBeLessThan(Number(was));
        expect(await page.locator('#step-parts tbody tr').count()).toBe(4);
        await page.click('#step-forget');
        await says(page, 'step-summary', /^No step yet/);

        await page.fill('#max-bytes', '20');
        await page.click('#generate-start');
        await says(page, 'generate-status', /^\d+ bytes in/);
        await page.click('#try-spaces');
        expect(await page.locator('#mode').inputValue()).toBe('space');
        await page.click('#try-long');
        expect(await page.locator('#mode').inputValue()).toBe('entropy');
        await afterReading(page, () => page.click('#try-rare'));
        expect(await page.locator('#text').inputValue()).toContain('zyxomma');
      }));

    test('a loaded checkpoint cuts as blt patch does and writes what blt generate does', () =>
      onPage(async (page) => {
        const folder = trainedFolder();
        await page.setInputFiles('#checkpoint-folder', join(folder, 'runs/first'));
        await says(page, 'checkpoint-facts', /first\/step-\d+: .* parameters/);
        await page.setInputFiles('#text-file', join(folder, 'text.txt'));
        await afterUpdate(page, () => page.selectOption('#entropy-model', 'loaded'));
        const { code, stdout } = blt(folder, ['patch', 'text.txt', '--json', '--model', 'runs/first']);
        expect(code).toBe(0);
        const { patchLengths, entropies } = JSON.parse(stdout);
        expect(await text(page, 'patch-summary')).toContain(`${patchLengths.length} patches`);
        await page.locator('#strip').focus();
        await page.keyboard.press('Home');
        for (let i = 0; i < 20; i++) {
          const said = (await page.locator('#strip').getAttribute('aria-valuetext')) ?? '';
          expect(Number(/entropy ([\d.]+) nats/.exec(said)![1])).toBeCloseTo(entropies[i], 2);
          await page.keyboard.press('ArrowRight');
        }

        await page.fill('#prompt', 'The sea');
        await page.fill('#max-bytes', '30');
        await page.fill('#temperature', '1.5');
        await page.fill('#top-k', '40');
        await page.fill('#generate-seed', '7');
        await page.click('#generate-start');
        await says(page, 'generate-status', /bytes per second/);
        const options = [
          '--prompt',
          'The sea',
          '--max-bytes',
          '30',
          '--temperature',
          '1.5',
          '--top-k',
          '40',
          '--seed',
          '7',
        ];
        // The page has the model alone.
        const alone = ['generate', ...options, '--json', '--no-memory', '--model', 'runs/first'];
        const { bytes } = JSON.parse(blt(folder, alone).stdout);
        const shown = await text(page, 'generate-status');
        expect(shown).toContain(`${bytes.length} bytes in`);
        const output = await page.locator('#generated').textContent();
        const ascii = bytes.filter((b: number) => b > 32 && b < 127).map((b: number) => String.fromCharCode(b));
        for (const character of ascii) expect(output).toContain(character);
      }));

    test('training lowers the loss; it stops, goes on, and leaves a checkpoint that loads', () =>
      onPage(async (page) => {
        await page.fill('#text', TEXT);
        await page.selectOption('#train-mode', 'space');
        await page.fill('#train-steps', '8');
        await page.evaluate(() => {
          const state = globalThis as unknown as { kept: string[] };
          state.kept = [];
          const place = document.getElementById('download-facts')!;
          new MutationObserver(() => state.kept.push(place.textContent!)).observe(place, { childList: true });
        });
        await page.click('#train-start');
        await says(page, 'train-status', /step [1-9]/);
        await page.click('#train-pause');
        await says(page, 'train-status', /^Stopped/);
        const first = Number(/([\d.]+) bits per byte in training/.exec(await text(page, 'train-status'))![1]);
        await page.click('#train-continue');
        await says(page, 'train-status', /^Done/, 150_000);
        const last = Number(/([\d.]+) bits per byte in training/.exec(await text(page, 'train-status'))![1]);
        expect(last).toBeLessThan(first - 2);
        expect(await text(page, 'train-status')).toMatch(/[\d.]+ held out at best/);
        expect(await page.locator('#samples figure').count()).toBe(3);
        const kept = await page.evaluate(() => (globalThis as unknown as { kept: string[] }).kept);
        const steps = kept.map((facts) => Number(/^step (\d+),/.exec(facts)![1]));
        expect(steps.at(-1)).toBe(8);
        expect(steps, 'no step is handed over twice').toEqual([...new Set(steps)]);
        expect(await page.locator('#train-chart svg').count()).toBe(2);
        // Chapter 9 lists the kernels of a training step.
        await page.selectOption('#kernel', 'rmsNormBackward');
        expect(await text(page, 'kernel-facts')).toMatch(/Run \d+ times in the last training step, [\d.]+/);

        const files: { name: string; path: string }[] = [];
        for (const link of ['#download-config', '#download-weights']) {
          const [download] = await Promise.all([page.waitForEvent('download'), page.click(link)]);
          files.push({ name: download.suggestedFilename(), path: await download.path() });
        }
        expect(files.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors']);
        const config = configFromHuggingFace(JSON.parse(readFileSync(files[0].path, 'utf8')));
        checkpointFromSafetensors(new Uint8Array(readFileSync(files[1].path)), config);

        // The new model is offered to the other chapters, and none of them takes it by itself.
        for (const id of ['generate-model', 'lesson-model', 'entropy-model']) {
          expect(await page.locator(`#${id}`).inputValue()).toBe('built-in');
        }
        await page.selectOption('#generate-model', 'trained');
        await page.fill('#max-bytes', '40');
        await page.click('#generate-start');
        await says(page, 'generate-status', /bytes per second/);
        expect((await text(page, 'generated')).length).toBeGreaterThan(20);
      }));

    test('the backend can be changed, is measured, and shows kernel beside definition', () =>
      onSharedPage(async (page) => {
        expect(await text(page, 'isolation')).toContain('is cross-origin isolated');
        expect(await text(page, 'backend-facts')).toContain('WebAssembly SIMD');
        await page.selectOption('#kernel', 'matmul');
        expect(await text(page, 'definition')).toContain("const matmul: CpuKernel<'matmul'>");
        expect(await text(page, 'kernel-source')).toContain('export function matmul(part: i32, parts: i32)');
        await page.selectOption('#backend', 'reference');
        await says(page, 'backend-facts', /reference: plain TypeScript/);
        await says(page, 'speeds', /plain TypeScript[\s\d.]+k?B\/s/);
        await page.selectOption('#kernel', 'matmul');
        expect(await text(page, 'kernel-title')).toBe('What runs: the definition itself');
        await afterUpdate(page, () => page.fill('#text', 'Also the definition cuts text.'));
        expect(await text(page, 'patch-summary')).toContain('patches');
      }));

    test('on WebGPU the page scores and generates with the kernels of gpu.js', () =>
      onPage(async (page) => {
        await page.selectOption('#backend', 'webgpu');
        await says(page, 'backend-facts', /webgpu: WebGPU on /);
        await says(page, 'speeds', /gpu\.js on WebGPU[\s\d.]+k?B\/s/);
        await page.selectOption('#kernel', 'matmul');
        expect(await text(page, 'kernel-title')).toBe('What runs: gpu.js kernel');
        expect(await text(page, 'kernel-source')).toContain('kernel(');
        await page.fill('#text', 'A device cuts text as well as a processor does.');
        await says(page, 'patch-summary', /^\d{1,2} patches/);

        const folder = trainedFolder();
        await page.setInputFiles('#checkpoint-folder', join(folder, 'runs/first'));
        await says(page, 'checkpoint-facts', /first\/step-\d+: .* parameters/);
        await page.fill('#max-bytes', '8');
        await page.fill('#temperature', '0');
        const generated: (string | null)[] = [];
        for (const backend of ['webgpu', 'wasm']) {
          await page.selectOption('#backend', backend);
          await says(page, 'backend-facts', new RegExp(`^${backend}: `));
          await page.click('#generate-start');
          await says(page, 'generate-status', /bytes per second/);
          generated.push(await page.locator('#generated').textContent());
          await page.locator('#generate-status').evaluate((place) => {
            place.textContent = '';
          });
        }
        expect(generated[0]).toBe(generated[1]);
        expect(generated[0]!.length).toBeGreaterThan('It was '.length);
      }));

    test('files that are empty, huge, long, binary or broken: a sentence each, and the page goes on', () =>
      onPage(async (page) => {
        const folder = temporaryFolder({
          'empty.txt': '',
          'huge.bin': '',
          'a/config.json': '{',
          'a/model.safetensors': 'x',
          'book.txt': TEXT.repeat(20),
          'raw.bin': Uint8Array.of(0, 255, 10, 65),
        });
        truncateSync(join(folder, 'huge.bin'), 1e9);
        await page.setInputFiles('#text-file', join(folder, 'empty.txt'));
        await says(page, 'text-error', /empty\.txt is empty: 0 bytes have no patches/);
        await page.setInputFiles('#text-file', join(folder, 'huge.bin'));
        await says(page, 'text-error', /huge\.bin is 1\.00 GB; this page reads up to 16\.0 MB/);
        await page.setInputFiles('#checkpoint-folder', join(folder, 'a'));
        await says(page, 'generate-error', /config\.json is not JSON/);
        const step = join(folder, 'step');
        cpSync(bestStep(trainedFolder()), step, { recursive: true });
        const weights = join(step, 'model.safetensors');
        await page.setInputFiles('#checkpoint-folder', step);
        await says(page, 'checkpoint-facts', /parameters/);
        const facts = await text(page, 'checkpoint-facts');
        truncateSync(weights, statSync(weights).size - 100);
        await page.setInputFiles('#checkpoint-files', [join(step, 'config.json'), weights]);
        await says(page, 'generate-error', /^model\.safetensors: /);
        expect(await text(page, 'checkpoint-facts'), 'the earlier one is still loaded').toBe(facts);
        await page.setInputFiles('#checkpoint-files', [join(step, 'config.json')]);
        await says(page, 'generate-error', /it has no model\.safetensors; there is only config\.json/);
        await page.fill('#text', 'too short');
        await page.click('#train-start');
        await says(page, 'train-error', /there are 9 bytes to train on; give at least 500/);
        await afterUpdate(page, () => page.fill('#text', 'It still cuts.'));
        expect(await page.locator('#text-error').isVisible()).toBe(false);

        await afterUpdate(page, () => page.setInputFiles('#text-file', join(folder, 'book.txt')));
        expect(await text(page, 'file-name')).toBe('book.txt, 46.4 kB; the first 20.0 kB are shown.');
        await afterUpdate(page, () => page.setInputFiles('#text-file', join(folder, 'raw.bin')));
        expect(await text(page, 'file-name')).toBe('raw.bin, 4 B, kept as bytes.');
        await page.click('#close-file');
        expect(await page.locator('#text').isVisible()).toBe(true);
      }));

    test('a worker that is lost is told, and can be started again with what was trained', () =>
      onPage(async (page) => {
        await page.fill('#text', TEXT);
        await page.selectOption('#train-mode', 'space');
        await page.fill('#train-steps', '1000');
        await page.click('#train-start');
        await says(page, 'train-status', /Model step/);
        await page.click('#train-pause');
        await says(page, 'train-status', /^Stopped/);
        await says(page, 'download-facts', /step \d+/);
        // Kernel threads have other addresses, and never look up from their work.
        const own = page.workers().filter((worker) => worker.url().endsWith('/worker.js'));
        expect(own).toHaveLength(2);
        for (const worker of own) await worker.evaluate('self.close()').catch(() => {});
        await says(page, 'text-error', /The worker that cuts the text has stopped: the browser ended it/);
        await says(page, 'train-error', /The worker that trains has stopped.*The last checkpoint is kept/);
        // Also who types on, cuts in other ways or makes a mistake finds the button.
        await page.fill('#text', 'A letter more.');
        await page.selectOption('#mode', 'static');
        await page.fill('#size', '0');
        await says(page, 'text-error', /^bytes per patch must be/);
        await page.fill('#size', '4');
        await page.selectOption('#mode', 'entropy');
        await says(page, 'text-error', /The worker that cuts the text has stopped/);
        await page.click('#text-error button');
        await afterUpdate(page, () => page.fill('#text', 'Once more.'));
        await page.selectOption('#generate-model', 'trained');
        await page.fill('#max-bytes', '10');
        await page.click('#generate-start');
        await says(page, 'generate-status', /bytes per second/);
      }));

    test('without isolation everything works on one thread, and the page says so', async () => {
      const types: Record<string, string> = {
        '.html': 'text/html',
        '.js': 'text/javascript',
        '.css': 'text/css',
        '.json': 'application/json',
      };
      const plain = createServer((request, response) => {
        const name = request.url === '/' ? 'index.html' : request.url!.slice(1);
        response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream' });
        response.end(readFileSync(join(PAGE, name)));
      });
      await new Promise<void>((listening) => plain.listen(0, '127.0.0.1', listening));
      const { port } = plain.address() as AddressInfo;
      const { page, complaints } = await openPage(await browser(), `http://127.0.0.1:${port}/`);
      await ready(page);
      expect(await page.evaluate(() => typeof SharedArrayBuffer)).toBe('undefined');
      expect(await text(page, 'isolation')).toContain('there is no SharedArrayBuffer: everything runs on one thread');
      await afterUpdate(page, () => page.fill('#text', TEXT));
      await page.selectOption('#train-mode', 'space');
      await page.fill('#train-steps', '2');
      await page.click('#train-start');
      await says(page, 'train-status', /^Done/);
      expect(complaints).toEqual([]);
      await page.context().close();
      plain.close();
    });

    test('a worker that cannot be loaded is told', async () => {
      const context = await (await browser()).newContext();
      const page = await context.newPage();
      await page.route('**/worker.js', (route) => route.abort());
      await page.goto(url());
      await says(page, 'text-error', /The worker that cuts the text has stopped: its file could not be loaded/);
      await context.close();
    });

    test('opened from a file, it says what to do', async () => {
      const context = await (await browser()).newContext();
      const page = await context.newPage();
      await page.goto(`file://${join(PAGE, 'index.html')}`);
      await says(page, 'text-error', /run blt play, or put this folder on a web server/);
      await context.close();
    });

    test('both themes, wide and on a phone: nothing sticks out, and axe-core finds no offence', () =>
      onPage(
        async (page) => {
          // Also who comes straight to chapter 5 finds its first step prepared.
          await page.waitForSelector('#learning[data-prepared="3"]');
          await page.click('#step-take');
          await says(page, 'step-summary', /^Step 1/);
          // As a call of the debugger, because the page allows no foreign script.
          await page.evaluate(axe.source);
          for (const [name, viewport] of [
            ['wide', { width: 1200, height: 900 }],
            ['phone', { width: 360, height: 740 }],
          ] as const) {
            await page.setViewportSize(viewport);
            for (const colorScheme of ['light', 'dark'] as const) {
              await page.emulateMedia({ colorScheme });
              expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
                viewport.width,
              );
              expect([colorScheme, name, ...(await offences(page))]).toEqual([colorScheme, name]);
              if (process.env.BLT_SCREENSHOTS) {
                mkdirSync(process.env.BLT_SCREENSHOTS, { recursive: true });
                const path = join(process.env.BLT_SCREENSHOTS, `${colorScheme}-${name}.png`);
                await page.screenshot({ path, fullPage: true });
              }
            }
          }
          expect(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior)).toBe('auto');
          // For a finger everything that stands alone is 44 pixels high.
          const low = await page.evaluate(() =>
            [
              ...document.querySelectorAll<HTMLElement>(
                'nav a, input:not([type=file]), select, textarea, button, .button',
              ),
            ]
              .filter((control) => control.checkVisibility() && control.getBoundingClientRect().height < 44)
              .map((control) => control.id || control.textContent),
          );
          expect(low).toEqual([]);
          // With Tab each link of the narrow list comes into sight as a whole.
          await page.focus('.skip');
          // In the frame after it the list has followed the reader to the top.
          await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
          for (let chapter = 1; chapter <= 9; chapter++) {
            await page.keyboard.press('Tab');
            const [left, right] = await page.evaluate(() => {
              const { left, right } = document.activeElement!.getBoundingClientRect();
              return [left, right];
            });
            expect({ chapter, left, right, inSight: left >= 0 && right <= 360 }).toMatchObject({ inSight: true });
          }
        },
        { reducedMotion: 'reduce', hasTouch: true },
        '#learning',
      ));
  });
}

const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 3 --row-bytes 64 --batch-size 2 --steps 4'.split(
    ' ',
  );

/** A folder with a tiny run, runs/first, made once for all tests that only read it. */
function trainedFolder(): string {
  if (!trained) {
    trained = mkdtempSync(join(tmpdir(), 'blt-test-'));
    writeFileSync(join(trained, 'text.txt'), TEXT.slice(0, 300));
    train(trained);
  }
  return trained;
}

/** The folder of the best step of runs/first. */
function bestStep(folder: string): string {
  const run = join(folder, 'runs/first');
  return join(run, readFileSync(join(run, 'best'), 'utf8').trim());
}

/** A tiny run, runs/first. */
function train(folder: string): void {
  writeFileSync(join(folder, 'book.txt'), TEXT);
  expect(blt(folder, ['train', ...TINY, '--data', 'book.txt', '--run', 'first']).code).toBe(0);
}
