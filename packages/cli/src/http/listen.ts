/** @file The servers of the command: which names they answer to, where they listen, and how long a client may take. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reason, UserError } from '../terminal/errors.ts';

/** The address that only this machine can reach. */
export const LOOPBACK = '127.0.0.1';

const OWN_NAMES = [LOOPBACK, 'localhost', '[::1]'];

/** Whether a Host header names this server itself: a page of another name that was made to point here must not be served. */
export function isOwnHost(host: string | undefined, port: number): boolean {
  const name = host?.toLowerCase() ?? '';
  // Port 80 is left out of addresses.
  return OWN_NAMES.some((own) => name === `${own}:${port}` || (port === 80 && name === own));
}

/**
 * The host and the path that a request is for. A target such as `http://localhost:8259/health` has both, and its host counts then
 * (RFC 9112, 3.2.2). The path is as sent, without its query: no escapes are decoded, no dots followed.
 */
export function targetOf({ url = '/', headers }: IncomingMessage): { host: string | undefined; path: string } {
  const [, host = headers.host, rest] = /^(?:https?:\/\/([^/?#]*))?(.*)$/is.exec(url)!;
  return { host, path: rest.split(/[?#]/, 1)[0] || '/' };
}

/** Where a server listens, and how many clients it takes. */
export interface ListenOptions {
  /** 0: any free one. */
  readonly port: number;
  readonly host?: string;
  /** The command, for the message when the port cannot be had. */
  readonly command: string;
  readonly maxConnections: number;
}

/**
 * A server with limits against clients that are slow on purpose: 10 s for the headers and 30 s for the whole request, and 16 KiB of
 * headers. Connections beyond `maxConnections` are closed at once.
 * @throws UserError if the port cannot be had
 */
export function listen(
  listener: RequestListener,
  { port, host = LOOPBACK, command, maxConnections }: ListenOptions,
): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const limits = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2_000 };
    const server = createServer({ ...limits, maxHeaderSize: 16 * 1024 }, listener);
    server.maxConnections = maxConnections;
    server.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'something else uses it' : reason(error);
      const place = host === LOOPBACK ? `port ${port}` : `${host}, port ${port}`;
      reject(
        new UserError(`cannot listen on ${place}: ${why}; choose another: ${command} --port N`, 1, { cause: error }),
      );
    });
    server.listen(port, host, () => resolve({ server, port: (server.address() as AddressInfo).port }));
  });
}

/** Waits for SIGINT or SIGTERM, then ends the server and its connections. */
export async function untilInterrupted(server: Server): Promise<void> {
  await new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  server.close();
  server.closeAllConnections();
}
