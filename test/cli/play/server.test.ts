import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { planRun } from '@blt-ts/blt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isOwnHost } from '../../../packages/cli/src/http/listen.ts';
import { BLT, blt } from '../../support/command.ts';
import { PAGE, servePage } from '../../support/play-page.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A raw request: fetch would tidy the path and refuse to send a Host. */
function ask(url: string, path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const sent = request({ hostname, port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('the page shows the learning rate that an empty field stands for', () => {
  const page = readFileSync(join(PAGE, 'index.html'), 'utf8');
  const [, shown] = /id="train-lr"[^>]*placeholder="([\d.]+)"/.exec(page)!;
  expect(Number(shown)).toBe(planRun({ size: 'nano' }, 1_000_000).model.loop.lr);
});

describe('the server of blt play', () => {
  let site: Awaited<ReturnType<typeof servePage>>;
  beforeAll(async () => {
    site = await servePage();
  });
  afterAll(() => site.close());

  test('every answer isolates the page and forbids foreign sources', async () => {
    for (const path of ['/', '/worker.js', '/nothing']) {
      const { headers } = await ask(site.url, path);
      expect(headers['cross-origin-opener-policy']).toBe('same-origin');
      expect(headers['cross-origin-embedder-policy']).toBe('require-corp');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).not.toMatch(/https?:/);
    }
  });

  test('files come whole, with their type', async () => {
    for (const [name, type] of [
      ['main.js', 'text/javascript'],
      ['style.css', 'text/css'],
      ['kernels.json', 'application/json'],
    ]) {
      const { status, headers, body } = await ask(site.url, `/${name}`);
      expect(status).toBe(200);
      expect(headers['content-type']).toContain(type);
      expect(body).toBe(readFileSync(join(PAGE, name), 'utf8'));
    }
    expect((await ask(site.url, '/?x=1')).body).toContain('blt play</title>');
    expect((await ask(site.url, '/main.js', {}, 'HEAD')).body).toBe('');
  });

  test('no path leaves its folder', async () => {
    for (const path of [
      '/../blt.js',
      '/..%2fblt.js',
      '/%2e%2e/blt.js',
      '/./main.js',
      '//main.js',
      '/main.js/',
      '/etc/passwd',
      '/..\\..\\package.json',
      '/model/config.json',
      '/__proto__',
      '/main.js%00',
    ]) {
      expect({ path, status: (await ask(site.url, path)).status }).toEqual({ path, status: 404 });
    }
  });

  test('only its own names are answered, and only to read', async () => {
    const { host } = new URL(site.url);
    const port = Number(host.split(':')[1]);
    for (const own of [host, `localhost:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`]) {
      expect((await ask(site.url, '/', { Host: own })).status).toBe(200);
    }
    for (const foreign of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      `127.0.0.1:${port + 1}`,
      `127.0.0.1.evil.example:${port}`,
    ]) {
      expect({ foreign, status: (await ask(site.url, '/', { Host: foreign })).status }).toEqual({
        foreign,
        status: 421,
      });
    }
    const whole = new URL('/main.js', site.url).href;
    expect((await ask(site.url, whole, { Host: 'evil.example' })).status).toBe(200);
    expect((await ask(site.url, 'http://evil.example/main.js')).status).toBe(421);
    expect(isOwnHost(undefined, port)).toBe(false);
    expect([isOwnHost('LocalHost', 80), isOwnHost('127.0.0.1:80', 80), isOwnHost('evil.example', 80)]).toEqual([
      true,
      true,
      false,
    ]);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect((await ask(site.url, '/', {}, method)).status).toBe(405);
    }
  });
});

const TEXT = 'It was the best of times, it was the worst of times. '.repeat(30);
const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 2 --row-bytes 64 --batch-size 2 --steps 2'.split(
    ' ',
  );

/** The address that the command prints. */
async function address(child: ChildProcess): Promise<string> {
  let out = '';
  for await (const chunk of child.stdout!) {
    out += chunk;
    const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(out);
    if (found) return found[0];
  }
  throw new Error(`no address in ${JSON.stringify(out)}`);
}

describe('blt play', () => {
  test('serves the page with the model it was given, and ends on SIGINT', async () => {
    const folder = temporaryFolder({ 'book.txt': TEXT });
    expect(blt(folder, ['train', ...TINY, '--data', 'book.txt', '--run', 'first']).code).toBe(0);
    const child = spawn(process.execPath, [BLT, 'play', '--no-open', '--port', '0', '--model', 'runs/first'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const url = await address(child);
      expect((await ask(url, '/')).body).toMatch(/<meta name="blt-model" content="first\/step-0+2" *\/?>/);
      expect(JSON.parse((await ask(url, '/model/config.json')).body).model_type).toBe('blt');
      expect((await ask(url, '/model/model.safetensors', {}, 'HEAD')).status).toBe(200);
      expect((await ask(url, '/model/training_state.json')).status).toBe(404);
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('--build writes the same files, and nothing in them asks for another host', () => {
    const folder = temporaryFolder();
    const { code, stdout } = blt(folder, ['play', '--build', 'site/page']);
    expect(code).toBe(0);
    expect(stdout).toContain('Cross-Origin-Opener-Policy');
    const built = join(folder, 'site/page');
    expect(readdirSync(built).sort()).toEqual(readdirSync(PAGE).sort());
    for (const name of ['index.html', 'style.css']) {
      // A link is an address to go to, not one that is asked for anything.
      expect(readFileSync(join(built, name), 'utf8').replace(/<a [^>]*>/g, '')).not.toMatch(
        /(src|href)="(https?:)?\/\/|url\(|@import/,
      );
    }
  });

  test('what cannot be done is said in one sentence', async () => {
    const folder = temporaryFolder({ 'broken/model.safetensors': 'x', 'broken/config.json': '{', taken: 'a file' });
    const fails = (...args: string[]) => {
      const { code, stderr } = blt(folder, ['play', '--no-open', ...args]);
      expect(code).not.toBe(0);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      return stderr;
    };
    expect(fails('--model', 'nowhere')).toContain('there is no such folder');
    expect(fails('--model', 'broken')).toContain('broken/model.safetensors: the file has 1 bytes');
    expect(fails('--build', 'taken/page')).toContain('cannot write the page to taken/page');
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { port } = other.address() as { port: number };
      expect(fails('--port', String(port))).toContain(`cannot listen on port ${port}: something else uses it`);
    } finally {
      other.close();
    }
    expect(existsSync(join(folder, 'site'))).toBe(false);
  });
});
