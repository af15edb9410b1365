/** @file Programs of JavaScript in other engines, as child processes whose memory can be read. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ENGINES = ['node', 'node24', 'chromium', 'bun', 'deno'] as const;
export type Engine = (typeof ENGINES)[number];

/** A process with its parent, its resident memory, and its command. */
interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly megabytes: number;
  readonly command: string;
}

const processes = (): Promise<Listed[]> =>
  new Promise((resolve, reject) =>
    execFile('ps', ['-axo', 'pid=,ppid=,rss=,args='], { maxBuffer: 2 ** 26 }, (error, stdout) => {
      if (error) reject(error);
      else {
        const lines = [...stdout.matchAll(/^ *(\d+) +(\d+) +(\d+) +(.*)$/gm)];
        resolve(
          lines.map(([, pid, parent, kb, command]) => ({
            pid: Number(pid),
            parent: Number(parent),
            megabytes: Number(kb) / 1024,
            command,
          })),
        );
      }
    }),
  );

/** Resident megabytes of the largest process under `root` whose command fits; 0 if there is none. */
export async function residentMegabytes(root: number, fits: RegExp): Promise<number> {
  const all = await processes();
  const under = new Set([root]);
  // A child may stand in front of its parent.
  for (let before = 0; before < under.size; ) {
    before = under.size;
    for (const { pid, parent } of all) if (under.has(parent)) under.add(pid);
  }
  const sizes = all.filter(({ pid, command }) => under.has(pid) && fits.test(command)).map((p) => p.megabytes);
  return Math.max(0, ...sizes);
}

/** A program on its way: the process it is in, which of its children to look at, what it says in the end, and how to end it. */
export interface Running {
  readonly pid: number;
  readonly fits: RegExp;
  readonly said: Promise<string>;
  stop(): void;
}

const COMMANDS: Record<Exclude<Engine, 'chromium'>, readonly string[]> = {
  node: [],
  node24: ['scripts/other-node.mjs', '24'],
  bun: ['scripts/other-engine.mjs', 'bun', 'run'],
  deno: ['scripts/other-engine.mjs', 'deno', 'run'],
};

function inProcess(engine: Exclude<Engine, 'chromium'>, file: string, argument: string): Running {
  const child = spawn(process.execPath, [...COMMANDS[engine], file, argument], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, errors] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const said = new Promise<string>((resolve) =>
    child.on('close', (status, signal) => {
      const lines = out.trim().split('\n');
      const warning = errors.match(/[^\n]*warning[^\n]*/i)?.[0];
      const last = lines.at(-1) || `ended with ${signal ?? status}: ${errors.trim().split('\n').at(-1)}`;
      resolve(warning ? `${last}; ${warning}` : last);
    }),
  );
  return { pid: child.pid!, fits: /./, said, stop: () => void child.kill() };
}

async function inPage(script: string, argument: string): Promise<Running> {
  let resolveSaid = (_: string) => {};
  const said = new Promise<string>((resolve) => {
    resolveSaid = resolve;
  });
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        response.end();
        resolveSaid(body);
      });
      return;
    }
    const isScript = request.url === '/script.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><script type="module" src="/script.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const profile = mkdtempSync(join(tmpdir(), 'blt-loops-'));
  const child = spawn(
    process.env.CHROMIUM ?? '/usr/bin/chromium',
    [
      '--headless',
      '--no-sandbox',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/?${encodeURIComponent(argument)}`,
    ],
    { stdio: 'ignore' },
  );
  child.on('error', (error) => resolveSaid(`stopped: ${error.message}`));
  child.on('exit', () => resolveSaid('the browser ended'));
  const stop = () => {
    child.once('exit', () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
    child.kill();
    server.close();
  };
  return { pid: child.pid!, fits: /--type=renderer/, said, stop };
}

/** Starts a program in an engine. @param texts the program as a file for Node, Bun and Deno, and as text for a page */
export const start = async (
  engine: Engine,
  texts: { file: string; page: string },
  argument: string,
): Promise<Running> => (engine === 'chromium' ? inPage(texts.page, argument) : inProcess(engine, texts.file, argument));
