/** @file Workers of training steps that live in the same thread: each has a backend of its own, and orders and answers go through ports. */
import { MessageChannel } from 'node:worker_threads';
import { PassWorkers, servePasses, type WorkerThread } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';

/** A worker at the other end of a port. */
export function workerHere(): WorkerThread {
  const { port1, port2 } = new MessageChannel();
  servePasses(port2);
  return {
    postMessage: (message) => port1.postMessage(message),
    on: (event, listener) => event === 'message' && port1.on('message', listener),
    terminate: () => port1.close(),
  };
}

/** Workers for all lanes but one. */
export const workersHere = (backend: WasmBackend, lanes: number): PassWorkers =>
  new PassWorkers(
    backend,
    Array.from({ length: lanes - 1 }, () => workerHere()),
  );
