/** @file Headless Chromium with one page that runs a bundle of ours. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium, type Page } from 'playwright-core';

/** Milliseconds: a busy machine is no error. */
export const PATIENCE = 150_000;

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

// --enable-unsafe-webgpu: without it there is no adapter in headless mode. The others keep the browser off the network.
const args = [
  '--no-sandbox',
  '--no-first-run',
  '--enable-unsafe-webgpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];

/** One file of JavaScript from a file of test/support, bundled from the sources for a browser. */
export async function bundleForBrowser(entry: string, minify: boolean): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    minify,
    format: 'esm',
    platform: 'browser',
    conditions: ['@blt-ts/source'],
    write: false,
  });
  return outputFiles[0].text;
}

/** Headers with which a page has shared memory, and so threads. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

const SHELL = '<!doctype html><script type="module" src="/script.js"></script>';

/** Opens a page that loads `script`, or the page `html`, and gives it to `use`. Errors of the page are collected. */
export async function inChromium<R>(
  script: string,
  use: (page: Page, errors: string[]) => Promise<R>,
  { isolated = false, html = SHELL }: { isolated?: boolean; html?: string } = {},
): Promise<R> {
  if (!existsSync(executablePath)) {
    throw new Error(`there is no ${executablePath}; install chromium, or set CHROMIUM to the path of one`);
  }
  const server = createServer((request, response) => {
    if (isolated) for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
    const isScript = request.url === '/script.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : html);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath, args, timeout: PATIENCE });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return await use(page, errors);
  } finally {
    await browser.close();
    server.close();
  }
}
