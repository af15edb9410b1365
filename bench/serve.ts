/**
 * @file Speed of `blt serve`: `pnpm bench serve [MODEL] [--clients 32] [--bytes 200] [--seconds 10] [--requests 10000] [--threads N] [--json]`.
 * The server is the built command in a process of its own, the clients are streams in this one. Without MODEL a nano model is trained
 * for one step, because speed does not depend on the weights.
 *
 * First one client, then all of them, each asking again as soon as it has its answer of `--bytes` bytes. The time to the first byte is
 * that of the client. At last `--requests` short requests show whether the server's memory grows.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { flags, report, short, usage } from './support/harness.ts';

const f = flags({ clients: 32, bytes: 200, seconds: 10, requests: 10_000, threads: availableParallelism() }, 1);
const BLT = resolve('packages/cli/dist/blt.js');
const PROMPT = 'It was the best of times, it was the worst of times, it was the age of wisdom, ';

/** A nano model that has learnt nothing. */
function anyModel(folder: string): string {
  writeFileSync(join(folder, 'text.txt'), PROMPT.repeat(400));
  const args = [
    'train',
    '--size',
    'nano',
    '--steps',
    '1',
    '--entropy-steps',
    '1',
    '--data',
    'text.txt',
    '--run',
    'nano',
  ];
  const { status, stderr } = spawnSync(process.execPath, [BLT, ...args], { cwd: folder, encoding: 'utf8' });
  if (status !== 0) usage(`the model could not be made: ${stderr}`);
  return join(folder, 'runs/nano');
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
let port = 0;

/** One streamed answer. @returns milliseconds to its first event */
function ask(bytes: number, seed: number): Promise<number> {
  const body = JSON.stringify({ prompt: PROMPT, max_tokens: bytes, seed, stream: true, ignore_eos: true });
  const started = performance.now();
  return new Promise((done, fail) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
    const sent = request(
      { agent, port, host: '127.0.0.1', method: 'POST', path: '/v1/completions', headers },
      (response) => {
        let first = 0;
        if (response.statusCode !== 200) fail(new Error(`the server answered ${response.statusCode}`));
        response.on('data', () => (first ||= performance.now() - started));
        response.on('end', () => done(first));
        response.on('error', fail);
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}

/** A figure of the server. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

/** Bytes a second of so many clients, and their times to the first byte in ms. */
async function load(clients: number, seconds: number): Promise<{ rate: number; firsts: number[] }> {
  const firsts: number[] = [];
  const until = performance.now() + 1000 * seconds;
  const before = await metric('blt_generated_bytes_total');
  const started = performance.now();
  let end = 0;
  let made = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let i = 0; performance.now() < until; i++) firsts.push(await ask(f.bytes, client * 1000 + i));
      if (end > 0) return;
      // From here on fewer clients ask.
      end = -1;
      made = (await metric('blt_generated_bytes_total')) - before;
      end = performance.now() - started;
    }),
  );
  return { rate: (1000 * made) / end, firsts: firsts.sort((a, b) => a - b) };
}

const percentile = (sorted: readonly number[], p: number): number => sorted[Math.ceil(p * sorted.length) - 1];

/** Resident MiB of the server after each tenth of the requests. */
async function memory(): Promise<number[]> {
  const resident: number[] = [];
  const tenth = Math.max(1, Math.floor(f.requests / 10));
  for (let part = 0; part < 10; part++) {
    let left = tenth;
    await Promise.all(
      Array.from({ length: f.clients }, async () => {
        while (left-- > 0) await ask(8, left);
      }),
    );
    resident.push(Math.round((await metric('process_resident_memory_bytes')) / 2 ** 20));
  }
  return resident;
}

const folder = mkdtempSync(join(tmpdir(), 'blt-bench-'));
const model = f.words[0] ?? anyModel(folder);
const server = spawn(
  process.execPath,
  [BLT, 'serve', model, '--port', '0', '--places', String(f.clients), '--threads', String(f.threads)],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
try {
  const [line] = await once(server.stdout!, 'data');
  port = Number(/:(\d+)\/v1/.exec(String(line))?.[1]);
  await load(f.clients, 1);
  const one = await load(1, f.seconds);
  const many = await load(f.clients, f.seconds);
  const resident = await memory();
  const result = {
    clients: f.clients,
    threads: f.threads,
    one_client_bytes_per_second: short(one.rate),
    all_clients_bytes_per_second: short(many.rate),
    ratio: short(many.rate / one.rate),
    first_byte_ms_one_client: short(percentile(one.firsts, 0.5)),
    first_byte_ms_median: short(percentile(many.firsts, 0.5)),
    first_byte_ms_p95: short(percentile(many.firsts, 0.95)),
    resident_mib: resident,
  };
  report('serve', result, [
    `one client: ${result.one_client_bytes_per_second} bytes/s, first byte after ${result.first_byte_ms_one_client} ms`,
    `${f.clients} clients: ${result.all_clients_bytes_per_second} bytes/s, ${result.ratio} times as many; first byte after ${result.first_byte_ms_median} ms (median), ${result.first_byte_ms_p95} ms (95%)`,
    `resident MiB after each tenth of ${f.requests} requests: ${resident.join(' ')}`,
  ]);
} finally {
  server.kill();
  agent.destroy();
  rmSync(folder, { recursive: true, force: true });
}
