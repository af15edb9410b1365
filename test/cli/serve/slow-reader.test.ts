/** @file Clients that take their answer slowly, and clients that do not take it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { destroyIfStalled } from '../../../packages/cli/src/serve/slow-reader.ts';

/** More than the system takes of a client that does not read. */
const BYTES = 16 * 2 ** 20;
const PATIENCE = 300;

/** Bytes of so many that a client gets which reads `piece` bytes every 20 ms, and nothing if that is 0. */
async function received(piece: number, all: number, patience: number): Promise<number> {
  const server = createServer((_, response) => {
    response.setHeader('content-length', all);
    response.end(Buffer.alloc(all));
    // As often as a stream asks for it.
    for (let i = 0; i < 100; i++) destroyIfStalled(response, patience);
    expect(response.listenerCount('timeout')).toBe(1);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  let bytes = 0;
  let asked = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes >= asked) socket.pause();
  });
  socket.pause();
  const reading = setInterval(() => {
    if (piece === 0) return;
    asked = bytes + piece;
    socket.resume();
  }, 20);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await once(server, 'request');
  // The side of the server ends when all is sent, or when it gives up.
  await new Promise<void>((resolve) => {
    const look = setInterval(() => {
      server.getConnections((_, open) => {
        if (open > 0) return;
        clearInterval(look);
        resolve();
      });
    }, 20);
  });
  clearInterval(reading);
  // What the system still has of it.
  asked = Number.POSITIVE_INFINITY;
  socket.resume();
  await once(socket, 'close');
  server.close();
  return bytes;
}

test('who reads a little at a time gets all of it, however long that takes', async () => {
  const begun = performance.now();
  // The system takes nothing more for as long as the client needs for half of what the system already holds, some megabytes.
  const patience = 1000;
  expect(await received(2 ** 17, 2 * BYTES, patience)).toBeGreaterThan(2 * BYTES);
  expect(performance.now() - begun).toBeGreaterThan(2 * patience);
}, 60_000);

test('who reads nothing is cut off', async () => {
  expect(await received(0, BYTES, PATIENCE)).toBeLessThan(BYTES);
}, 60_000);

test('an answer that is computed for long is not cut because the one before it on the connection has ended', async () => {
  let answers = 0;
  const server = createServer((_, response) => {
    const isFirst = answers++ === 0;
    const answer = () => {
      response.end('done');
      for (let i = 0; i < 2; i++) destroyIfStalled(response, PATIENCE);
      expect(response.listeners('finish').filter((one) => one.name === 'waitForNext')).toHaveLength(1);
    };
    if (isFirst) answer();
    else setTimeout(answer, 3 * PATIENCE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk));
  const ask = (connection: string) => `GET / HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`;
  socket.write(ask('keep-alive') + ask('close'));
  await once(socket, 'close');
  server.close();
  expect(heard.match(/done/g)).toHaveLength(2);
}, 60_000);
