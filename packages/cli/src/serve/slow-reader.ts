/** @file Clients that do not read their answer. */
import type { ServerResponse } from 'node:http';

/** Milliseconds in which a client must take something of what was written to it. */
const PATIENCE = 30_000;

/**
 * From now on the connection is cut if nothing of what waits to be sent is taken for 30 s. Node's own timer counts every part of a write
 * that the system took. It is one timer for all answers of a connection, so it ends with this one: the next may be computed for longer.
 */
export function destroyIfStalled(response: ServerResponse, patience = PATIENCE): void {
  response.setTimeout(patience);
  response.removeAllListeners('timeout');
  response.once('timeout', () => response.destroy());
  response.removeListener('finish', waitForNext);
  // Before Node's own listener, because that one gives the connection to the next answer, which may have set the timer for itself.
  response.prependListener('finish', waitForNext);
}

function waitForNext(this: ServerResponse): void {
  waitForever(this);
}

/** It may wait again. */
export function waitForever(response: ServerResponse): void {
  response.setTimeout(0);
}
