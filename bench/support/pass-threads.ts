/** @file Threads that share the passes of a measured step. The bundle of the benchmark is their program, and this file, loaded first, keeps them from measuring. */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { PassWorkers, servePasses } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';

if (!isMainThread) {
  servePasses(parentPort!);
  await new Promise(() => {});
}

/** Threads for all passes of a step but one. */
export const passThreads = (backend: WasmBackend, lanes: number): PassWorkers =>
  new PassWorkers(
    backend,
    Array.from({ length: lanes - 1 }, () => new Worker(new URL(import.meta.url))),
  );
