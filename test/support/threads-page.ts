/** @file The program that a worker of a browser page runs for the tests: kernels on one thread and on several, compared bit by bit. */

import { jobs, restartNoise, runOn } from '@blt-ts/autograd/testing';
import { availableThreads } from '@blt-ts/tensor';
import { createWasmBackend } from '../../packages/tensor/src/wasm/backend.ts';

export interface ThreadsReport {
  readonly isolated: boolean;
  /** More than 1 only where workers can share memory. */
  readonly available: number;
  readonly descriptions: string[];
  readonly jobs: number;
  /** Jobs whose bits were others on several threads. */
  readonly different: string[];
  /** SHA-256 of all outputs in deterministic mode. */
  readonly digest: string;
}

/** Runs every job on one thread and on `threads`. Also in Node, for the digest. */
export async function compareThreads(threads: number): Promise<ThreadsReport> {
  restartNoise();
  const found = jobs();
  const different: string[] = [];
  const descriptions: string[] = [];
  const all: Uint8Array[] = [];
  for (const deterministic of [true, false]) {
    const alone = createWasmBackend({ deterministic });
    const shared = createWasmBackend({ deterministic, threads, leastShared: 0.001 });
    descriptions.push(shared.description);
    if (shared.threads > 1) await shared.threadsReady();
    for (const [name, kernel, ins, attrs] of found) {
      const bytes = (backend: typeof alone) => runOn(backend, kernel, ins, attrs).map((x) => new Uint8Array(x.buffer));
      const expected = bytes(alone);
      if (deterministic) all.push(...expected);
      for (let round = 0; round < 3; round++) {
        const same = bytes(shared).every((x, o) => x.every((byte, i) => byte === expected[o][i]));
        if (!same) different.push(`${name} (${kernel}), ${shared.description}`);
      }
    }
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(all as BlobPart[]).arrayBuffer()));
  return {
    isolated: globalThis.crossOriginIsolated === true,
    available: availableThreads(),
    descriptions,
    jobs: found.length,
    different,
    digest: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}

/** In a page: the report of a worker. */
export type ThreadsPage = (threads: number) => Promise<ThreadsReport>;

const inWorker = typeof document === 'undefined' && typeof postMessage === 'function';
if (inWorker) {
  addEventListener('message', (event) => {
    compareThreads(event.data).then(postMessage, (error) => postMessage(String(error)));
  });
} else if (typeof document !== 'undefined') {
  const inOther: ThreadsPage = (threads) =>
    new Promise((resolve, reject) => {
      const worker = new Worker('/script.js', { type: 'module' });
      worker.onmessage = ({ data }) => (typeof data === 'string' ? reject(new Error(data)) : resolve(data));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(threads);
    });
  Object.assign(globalThis, { compareThreads: inOther });
}
