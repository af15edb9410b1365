/**
 * @file The server of `blt play`: this machine only, and only the files it was given. No request path ever reaches the file
 * system: a path is a key of a table or it is nothing.
 */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isOwnHost, listen, targetOf } from '../http/listen.ts';
import { reason } from '../terminal/errors.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.safetensors': 'application/octet-stream',
};

/** URL path -> a file on disk, or what it holds. */
export type Site = ReadonlyMap<string, { readonly path: string } | { readonly text: string }>;

const HEADERS = {
  // Together these two make the page cross-origin isolated, which is what shared memory between threads asks for.
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // gpu.js compiles its kernels from text, hence unsafe-eval; threads start from a blob.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; " +
    "connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

function refuse(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${sentence}\n`);
}

async function answer(site: Site, port: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { host, path } = targetOf(request);
  if (!isOwnHost(host, port)) {
    refuse(response, 421, `This server answers to http://127.0.0.1:${port}/ only.`);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    refuse(response, 405, 'Only GET and HEAD are answered.');
    return;
  }
  const entry = site.get(path === '/' ? '/index.html' : path);
  if (!entry) {
    refuse(response, 404, 'There is no such file.');
    return;
  }
  const type = TYPES[extname(path === '/' ? 'index.html' : path)] ?? 'application/octet-stream';
  if ('text' in entry) {
    const body = Buffer.from(entry.text);
    response.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const { size } = await stat(entry.path);
  response.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': size });
  if (request.method === 'HEAD' || size === 0) {
    response.end();
    return;
  }
  // No more than was promised, though the file may have grown. The file is closed when the reader goes away.
  await pipeline(createReadStream(entry.path, { end: size - 1 }), response);
}

/** Serves the site on 127.0.0.1. @param port 0: any free one @throws UserError if the port cannot be had */
export async function serveSite(site: Site, port: number): Promise<{ server: Server; port: number }> {
  // A page needs some ten connections.
  const options = { port, command: 'blt play', maxConnections: 64 };
  const listening = await listen((request, response) => {
    answer(site, listening.port, request, response).catch((error) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, `The file could not be read: ${reason(error)}.`);
    });
  }, options);
  return listening;
}

/** The page with the name of the checkpoint it is to load. */
export async function pageFor(index: string, model: string | null): Promise<string> {
  const html = await readFile(index, 'utf8');
  const name = (model ?? '').replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
  return html.replace(/(<meta name="blt-model" content=")[^"]*"/, (_, start: string) => `${start}${name}"`);
}
