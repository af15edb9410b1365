/** @file A thread that makes texts: a lane with a model of its own. */
import { parentPort } from 'node:worker_threads';
import { ContinuousBatch, type WeightFormat } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { loadModel } from '../run/find-model.ts';
import { threadData } from '../threads/own-thread.ts';
import { BatchLane, type Job, type TextRequest } from './lane.ts';
import { type LaneNews, NewsWriter } from './lane-news.ts';
import { probe } from './model-probe.ts';

/** The model and the places that such a thread is started with. */
export interface LaneStart {
  readonly folder: string;
  readonly weights: WeightFormat;
  readonly places: number;
  readonly contextBytes?: number;
}

/** Messages to the thread: texts have numbers. */
export type LaneOrder = { readonly begin: number; readonly request: TextRequest } | { readonly cancel: number };

/** Messages from it: first the logits that `probe` has of the model it opened. */
export type LaneAnswer =
  | { readonly logits: Float32Array }
  | { readonly failure: string; readonly name: string }
  | LaneNews;

const port = parentPort!;
const answer = (message: LaneAnswer): void => port.postMessage(message);

async function openLane(): Promise<void> {
  const { folder, weights, places, contextBytes } = threadData() as LaneStart;
  const { checkpoint } = await loadModel(folder, createWasmBackend(), weights);
  const lane = new BatchLane(new ContinuousBatch(checkpoint, { places, contextBytes }), true);
  const news = new NewsWriter();
  const jobs = new Map<number, Job>();
  lane.onRound = () => {
    const some = news.take(performance.now(), lane);
    if (some) answer(some);
  };
  port.on('message', (order: LaneOrder) => {
    if ('cancel' in order) {
      const job = jobs.get(order.cancel);
      jobs.delete(order.cancel);
      if (job) lane.cancel(job);
      return;
    }
    const { begin, request } = order;
    let first = true;
    const job: Job = {
      ...request,
      onByte: (entry) => {
        news.byte(begin, entry, request.logprobs !== null, first);
        first = false;
        return true;
      },
      onEnd: (reason) => {
        jobs.delete(begin);
        news.end(begin, reason);
      },
      onError: (error) => {
        jobs.delete(begin);
        news.failure(begin, error);
      },
    };
    jobs.set(begin, job);
    lane.begin(job);
  });
  answer({ logits: probe(checkpoint) });
}

try {
  await openLane();
} catch (error) {
  const { message, name } = error as Error;
  answer({ failure: message, name });
}
