/**
 * @file The page of `blt play` in headless Chromium: `pnpm bench play [--keystrokes 41] [--seconds 10] [--json]`. How long a keystroke
 * in 2,000 bytes takes to show (beside scoring all 2,000 anew), how long each interaction of the chapters takes, bytes per second of nano
 * training on one thread (beside the same run in Node, before and after), and the weight of the page.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Session } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { SAMPLE_TEXT } from '../packages/cli/src/play/page/sample-text.ts';
import { serveSite } from '../packages/cli/src/play/server.ts';
import { corpusOf, planOf } from '../packages/cli/src/play/worker/training.ts';
import type { Page } from '../test/node_modules/playwright-core/index.js';
import { flags, median, report, short } from './support/harness.ts';

const PAGE = resolve('packages/cli/dist/play');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const GOAL = { keystroke_ms: 100, page_bytes: 600_000 };
const { keystrokes, seconds } = flags({ keystrokes: 41, seconds: 10 });

for (const [path, remedy] of [
  [join(PAGE, 'main.js'), 'run: pnpm build'],
  [CHROMIUM, 'install chromium, or set CHROMIUM to the path of one'],
]) {
  if (existsSync(path)) continue;
  console.error(`there is no ${path}; ${remedy}`);
  process.exit(1);
}
const { chromium } = createRequire(resolve('test/package.json'))(
  'playwright-core',
) as typeof import('../test/node_modules/playwright-core/index.js');

const text = SAMPLE_TEXT.repeat(Math.ceil(20_000 / SAMPLE_TEXT.length)).slice(0, 20_000);

/** Milliseconds from an edit to the frame that shows its patches. */
async function shownAfter(page: Page, edit: () => Promise<unknown>): Promise<number> {
  await page.evaluate(() => {
    const place = document.getElementById('latency')!;
    const field = document.getElementById('text')!;
    const state = globalThis as unknown as { shown: Promise<number> };
    state.shown = new Promise((done) => {
      field.addEventListener(
        'input',
        () => {
          const start = performance.now();
          const seen = new MutationObserver(() => {
            seen.disconnect();
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
          });
          seen.observe(place, { attributeFilter: ['data-updates'] });
        },
        { once: true, capture: true },
      );
    });
  });
  await edit();
  return page.evaluate(() => (globalThis as unknown as { shown: Promise<number> }).shown);
}

async function keystroke(page: Page): Promise<{ typed: number[]; all: number[] }> {
  const typed: number[] = [];
  const all: number[] = [];
  for (let i = 0; i < keystrokes; i++) {
    // Another text of the same length, nothing of which is known: everything is scored.
    if (i % 4 === 0) all.push(await shownAfter(page, () => page.fill('#text', text.slice(i * 13, i * 13 + 2000))));
    await page.locator('#text').evaluate(
      (field, at) => {
        (field as HTMLTextAreaElement).focus();
        (field as HTMLTextAreaElement).setSelectionRange(at, at);
      },
      (i * 397) % 2000,
    );
    typed.push(await shownAfter(page, () => page.keyboard.type('x')));
  }
  return { typed, all };
}

/** Milliseconds from an event of the page to the frame that shows its result in the element `id`, of each of `times`. @param act makes it */
async function answers(page: Page, id: string, type: string, act: (i: number) => Promise<unknown>, times: number) {
  const found: number[] = [];
  for (let i = 0; i < times; i++) {
    await page.evaluate(
      ([place, event]) => {
        const state = globalThis as unknown as { answered: Promise<number> };
        state.answered = new Promise((done) => {
          const begin = () => {
            const start = performance.now();
            const seen = new MutationObserver(() => {
              seen.disconnect();
              requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
            });
            seen.observe(document.getElementById(place)!, { childList: true, characterData: true, subtree: true });
          };
          addEventListener(event, begin, { once: true, capture: true });
        });
      },
      [id, type],
    );
    await act(i);
    found.push(await page.evaluate(() => (globalThis as unknown as { answered: Promise<number> }).answered));
  }
  return found;
}

/** Every interaction of the chapters but typing, the files and the long computations: milliseconds, the median of 11. */
async function chapters(page: Page) {
  await page.fill('#text', text.slice(0, 2000));
  await page.waitForTimeout(2000);
  const figures: Record<string, number> = {};
  const time = async (name: string, id: string, type: string, act: (i: number) => Promise<unknown>) => {
    const found = await answers(page, id, type, act, 11);
    figures[`${name}_ms`] = short(median(found));
    return found;
  };
  await time('threshold', 'patch-summary', 'input', (i) => page.locator('#threshold').fill(String(2 + (i % 5) / 10)));
  await time('way_of_cutting', 'patch-summary', 'change', (i) =>
    page.selectOption('#mode', ['space', 'entropy'][i % 2]),
  );
  await page.locator('#bands').scrollIntoViewIfNeeded();
  const bands = (await page.locator('#bands').boundingBox())!;
  await time('point_at_a_byte', 'bands-facts', 'pointermove', (i) =>
    page.mouse.move(bands.x + 60 + 30 * i, bands.y + 20),
  );
  await page.focus('#bands');
  await time('byte_by_key', 'bands-facts', 'keydown', () => page.keyboard.press('ArrowRight'));
  await time('next_byte', 'stepping-gate', 'click', () => page.click('#stepping-next'));
  const [first] = await time('training_step', 'step-summary', 'click', () => page.click('#step-take'));
  figures.first_training_step_ms = short(first);
  await page.focus('#heat');
  await time('heat_map', 'heat-facts', 'keydown', () => page.keyboard.press('ArrowRight'));
  await time('kernel', 'kernel-facts', 'change', (i) => page.selectOption('#kernel', ['rope', 'matmul'][i % 2]));
  return figures;
}

const request = {
  bytes: new TextEncoder().encode(text),
  steps: 100_000,
  patchingMode: 'space' as const,
  patchSize: 4.5,
  lr: null,
  seed: 0,
};

/** Bytes per second of the page's training, on one thread, from every report it made. */
async function trainInPage(page: Page): Promise<number> {
  await page.selectOption('#backend', 'wasm');
  await page.waitForFunction(() => !(document.getElementById('backend') as HTMLSelectElement).disabled);
  await page.fill('#text', text);
  await page.selectOption('#train-mode', request.patchingMode);
  await page.fill('#train-steps', String(request.steps));
  await page.click('#train-start');
  const status = page.locator('#train-status');
  await page.waitForFunction(
    () => /Model step [4-9]/.test(document.getElementById('train-status')!.textContent!),
    null,
    {
      timeout: 300_000,
    },
  );
  const speeds = await status.evaluate(
    (place, ms) =>
      new Promise<number[]>((done) => {
        const found: number[] = [];
        const seen = new MutationObserver(() => found.push(Number(place.dataset.bytesPerSecond)));
        seen.observe(place, { attributeFilter: ['data-bytes-per-second'] });
        setTimeout(() => done(found), ms);
      }),
    seconds * 1000,
  );
  await page.click('#train-pause');
  return median(speeds);
}

/** The same run in Node: bytes per second of its steps. */
async function trainInNode(): Promise<number> {
  const session = new Session(planOf(request), corpusOf(request.bytes), createWasmBackend());
  const speeds: number[] = [];
  for (let spent = 0; spent < seconds / 2 || speeds.length < 5; ) {
    const start = performance.now();
    const event = await session.next();
    const took = (performance.now() - start) / 1000;
    if (event.kind !== 'step' || event.report.step <= 3) continue;
    spent += took;
    speeds.push(event.report.bytes / took);
  }
  return median(speeds);
}

const names = readdirSync(PAGE);
const weight = (name: string): number => gzipSync(readFileSync(join(PAGE, name)), { level: 9 }).length;
const weights = new Map(names.map((name) => [name, weight(name)]));
const total = [...weights.values()].reduce((a, b) => a + b, 0);
/** A script and the chunks that it imports before it runs. What it imports later is fetched when it is needed. */
function withChunks(name: string): string[] {
  const imported = [...readFileSync(join(PAGE, name), 'utf8').matchAll(/(?:from|import)"\.\/([^"]+)"/g)].map(
    ([, chunk]) => chunk,
  );
  return [name, ...imported.flatMap(withChunks)];
}
const atStart = new Set([
  'index.html',
  'style.css',
  'main.js',
  'kernels.json',
  'entropy-model.safetensors',
  'moby-dick.safetensors',
  ...withChunks('worker.js'),
]);
const startWeight = [...atStart].reduce((n, name) => n + (weights.get(name) ?? 0), 0);

const { server, port } = await serveSite(new Map(names.map((name) => [`/${name}`, { path: join(PAGE, name) }])), 0);
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless=new', '--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  await page.goto(`http://127.0.0.1:${port}/index.html`);
  await page.waitForSelector('body[data-ready=true]', { timeout: 120_000 });
  const loadBefore = loadavg()[0];
  const { typed, all } = await keystroke(page);
  const interactions = await chapters(page);
  const load = (loadBefore + loadavg()[0]) / 2;
  const before = await trainInNode();
  const inPage = await trainInPage(page);
  const inNode = (before + (await trainInNode())) / 2;
  const sorted = [...typed].sort((a, b) => a - b);
  const [middle, worst, anew] = [median(typed), sorted[Math.ceil(0.95 * sorted.length) - 1], median(all)];
  const result = {
    browser: browser.version(),
    keystroke_ms: short(middle),
    keystroke_p95_ms: short(worst),
    keystroke_goal_ms: GOAL.keystroke_ms,
    all_anew_ms: short(anew),
    keystroke_to_all_anew: short(middle / anew),
    ...interactions,
    load: short(load),
    train_bytes_per_s: short(inPage),
    node_bytes_per_s: short(inNode),
    train_to_node: short(inPage / inNode),
    page_gzip_bytes: total,
    page_gzip_goal_bytes: GOAL.page_bytes,
    at_start_gzip_bytes: startWeight,
    later_gzip_bytes: total - startWeight,
  };
  report('play', result, [
    `blt play in Chromium ${result.browser}`,
    `keystroke in 2,000 bytes  ${result.keystroke_ms} ms to the frame, 95% within ${result.keystroke_p95_ms} ms (goal ${GOAL.keystroke_ms}); all 2,000 anew ${result.all_anew_ms} ms, ratio ${result.keystroke_to_all_anew}`,
    `interactions              ${Object.entries(interactions)
      .map(([name, ms]) => `${name.replace(/_ms$/, '').replaceAll('_', ' ')} ${ms}`)
      .join(', ')} ms (goal ${GOAL.keystroke_ms}); load ${result.load}`,
    `nano training, one thread ${result.train_bytes_per_s} bytes/s; in Node ${result.node_bytes_per_s}, ratio ${result.train_to_node}`,
    `page, gzipped             ${(total / 1000).toFixed(1)} kB (goal ${GOAL.page_bytes / 1000}), ${(startWeight / 1000).toFixed(1)} at the start, ${(result.later_gzip_bytes / 1000).toFixed(1)} when gpu.js is chosen`,
  ]);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
