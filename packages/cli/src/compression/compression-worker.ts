/** @file A thread that codes streams of archives with a model of its own. */
import { parentPort } from 'node:worker_threads';
import { codeStreams, type StreamWork } from '@blt-ts/blt';
import { deterministicBackend, type ModelPlace, openCodingModel } from '../run/coding-model.ts';
import { threadData } from '../threads/own-thread.ts';

/** Answers: first the model that was opened; then, for each work in its order, how far it is, and its results. */
export type CompressionAnswer =
  | { readonly fingerprint: Uint8Array; readonly arithmetic: Uint8Array }
  | { readonly done: number }
  | { readonly results: readonly Uint8Array[] }
  /** The work failed, with an error of that name. */
  | { readonly failure: string; readonly name: string };

const port = parentPort!;
const answer = (message: CompressionAnswer, moved: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, moved);

function fail(error: unknown): void {
  const { message, name } = error as Error;
  answer({ failure: message, name });
}

try {
  const model = await openCodingModel(threadData() as ModelPlace, await deterministicBackend(1));
  answer({ fingerprint: model.fingerprint, arithmetic: model.arithmetic });
  port.on('message', (work: StreamWork) => {
    try {
      const steps = codeStreams(work, model.checkpoint);
      let next = steps.next();
      for (; !next.done; next = steps.next()) answer({ done: next.value });
      answer({ results: next.value }, [...new Set(next.value.map(({ buffer }) => buffer as ArrayBuffer))]);
    } catch (error) {
      fail(error);
    }
  });
} catch (error) {
  fail(error);
}
