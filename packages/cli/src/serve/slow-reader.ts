/** @file Clients that do not read their answer. */
import type { ServerResponse } from 'node:http';

/** Milliseconds in which a client must take something of what was written to it. */
const PATIENCE = 30_000;

/** Cuts the connection if nothing of what waits to be sent is taken for 30 s. */
export function destroyIfStalled(response: ServerResponse, patience = PATIENCE): void {
  const { socket } = response;
  if (!socket || response.writableFinished) return;
  const left = socket.writableLength;
  const timer = setTimeout(() => {
    if (response.writableFinished || socket.writableLength === 0 || socket.destroyed) return;
    if (socket.writableLength >= left) response.destroy();
    else destroyIfStalled(response, patience);
  }, patience);
  timer.unref();
  for (const event of ['close', 'finish']) response.once(event, () => clearTimeout(timer));
}
