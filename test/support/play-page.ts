import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { pageFor, type Site, serveSite } from '../../packages/cli/src/play/server.ts';
import { PATIENCE } from './chromium.ts';

/** The built page; `npm test` builds it first. */
export const PAGE = fileURLToPath(new URL('../../packages/cli/dist/play', import.meta.url));

export function pageFiles(): string[] {
  if (!existsSync(join(PAGE, 'main.js'))) throw new Error(`${PAGE} is not built; run: node scripts/build.mjs`);
  return readdirSync(PAGE);
}

/** The page on a free port. */
export async function servePage(extra: Site = new Map()): Promise<{ url: string; close(): void }> {
  const site = new Map<string, { path: string } | { text: string }>([
    ...pageFiles().map((name): [string, { path: string }] => [`/${name}`, { path: join(PAGE, name) }]),
    ['/index.html', { text: await pageFor(join(PAGE, 'index.html'), null) }],
    ...extra,
  ]);
  const { server, port } = await serveSite(site, 0);
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The browser tests run where this says so, and then fail without a browser. */
export const browserWanted = process.env.BLT_TEST_CHROMIUM === '1';
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

export async function launchChromium(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`BLT_TEST_CHROMIUM=1, but there is no ${CHROMIUM}; install chromium or set CHROMIUM to its path`);
  }
  return chromium.launch({
    executablePath: CHROMIUM,
    timeout: PATIENCE,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--enable-unsafe-webgpu',
    ],
  });
}

export interface OpenPage {
  readonly page: Page;
  /** Everything the console or an uncaught error said that was no information. */
  readonly complaints: string[];
}

/** Opens the page and waits until it has measured its backend. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

export const ready = (page: Page): Promise<unknown> => page.waitForSelector('body[data-ready=true]');

/** The text of an element. */
export const content = (page: Page, id: string): Promise<string> =>
  page.locator(`#${id}`).evaluate((place) => place.textContent ?? '');

/** Waits until an element says something. */
export const says = (page: Page, id: string, pattern: RegExp): Promise<unknown> =>
  page.waitForFunction(
    ([element, source]) => new RegExp(source).test(document.getElementById(element)?.textContent ?? ''),
    [id, pattern.source],
    { timeout: 150_000 },
  );

/** The page of a group of tests, in a browser of theirs. To be called inside `describe`. */
export function servedPage() {
  // Awaited by each test, so that without a browser each of them fails.
  let browser: Promise<Browser>;
  let site: Awaited<ReturnType<typeof servePage>>;
  beforeAll(async () => {
    browser = launchChromium();
    browser.catch(() => {});
    site = await servePage();
  });
  afterAll(async () => {
    await browser.then((started) => started.close()).catch(() => {});
    site?.close();
  });
  return {
    browser: () => browser,
    url: () => site.url,
    /** Opens the page, runs `use`, and wants no complaint in the console and no request to another host. */
    async onPage(use: (page: Page) => Promise<void>, options: BrowserContextOptions = {}, chapter = ''): Promise<void> {
      const { page, complaints } = await openPage(await browser, site.url + chapter, options);
      const foreign: string[] = [];
      page.on('request', (request) => {
        if (!request.url().startsWith(site.url) && !/^(blob|data):/.test(request.url())) foreign.push(request.url());
      });
      try {
        await ready(page);
        await use(page);
        expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
      } finally {
        await page.context().close();
      }
    },
  };
}
