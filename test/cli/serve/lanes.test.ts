/** @file Which lane makes which text, and the news that a lane in another thread sends of its texts. */

import type { Checkpoint, ContinuousBatch } from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BatchLane, type EndReason, type Job, type Lane } from '../../../packages/cli/src/serve/lane.ts';
import { NewsWriter, tellNews } from '../../../packages/cli/src/serve/lane-news.ts';
import { probe } from '../../../packages/cli/src/serve/model-probe.ts';
import { Scheduler } from '../../../packages/cli/src/serve/scheduler.ts';
import { runs } from '../../support/runs.ts';
import { servedModel } from '../../support/served-model.ts';
import { smallModel } from '../../support/small-model.ts';

/** A job that writes down what it is told. */
function job(
  heard: unknown[],
  { logprobs = null, patience = 100 }: { logprobs?: number | null; patience?: number } = {},
): Job {
  const options = { maxBytes: 100 };
  return {
    ...{ prompt: new Uint8Array(), options, stream: 0, logprobs },
    onByte: (entry) => {
      heard.push(logprobs === null ? entry.byte : entry);
      return heard.length < patience;
    },
    onEnd: (reason) => void heard.push(reason),
    onError: ({ message }) => void heard.push(message),
  };
}

/** A lane that makes nothing. */
class IdleLane implements Lane {
  onFree = (): void => {};
  readonly rounds = 0;
  readonly bytes = 0;
  readonly jobs = new Set<Job>();
  places: number;
  constructor(places: number) {
    this.places = places;
  }
  get size(): number {
    return this.jobs.size;
  }
  begin(one: Job): void {
    this.jobs.add(one);
  }
  cancel(one: Job): void {
    if (this.jobs.delete(one)) this.onFree();
  }
}

test('texts go to the lane with the fewest, wait in turn, and learn when no lane is left', () => {
  const lanes = [new IdleLane(2), new IdleLane(2)];
  const scheduler = new Scheduler(lanes, 2);
  const heard: unknown[][] = Array.from({ length: 6 }, () => []);
  const jobs = heard.map((list) => job(list));
  const placed = () => lanes.map((lane) => [...lane.jobs].map((one) => jobs.indexOf(one)));
  expect(scheduler.accepts(7)).toBe(false);
  expect(scheduler.accepts(6)).toBe(true);
  for (const one of jobs) scheduler.submit(one);
  expect(placed()).toEqual([
    [0, 2],
    [1, 3],
  ]);
  expect(scheduler.load).toEqual({ active: 4, waiting: 2 });
  expect(scheduler.accepts(1)).toBe(false);
  scheduler.cancel(jobs[1]);
  expect(placed()).toEqual([
    [0, 2],
    [3, 4],
  ]);
  for (const lane of lanes) {
    lane.places = 0;
    lane.jobs.clear();
    lane.onFree();
  }
  expect(heard.flat()).toEqual([expect.stringContaining('start the server again')]);
  expect(scheduler.load).toEqual({ active: 0, waiting: 0 });
});

test('threads compare a model that reads few patches too', () => {
  const { config } = servedModel;
  const global = { ...config.global, maxPositionEmbeddings: 3 };
  const backend = createReferenceBackend();
  const few = smallModel({ ...config, global, patching: { mode: 'byte', maxPatchLength: null } }, 7, backend);
  expect(probe(few as Checkpoint)).toHaveLength(260);
});

test('a round that fails ends its texts, and the next ones have their turn', async () => {
  let rounds = 0;
  const texts: object[] = [];
  const batch = {
    places: 1,
    add: () => {
      texts.push({ ended: false });
      return texts.at(-1);
    },
    remove: () => {},
    round: () => {
      if (rounds++ === 0) throw new Error('no number');
      return [{ text: texts.at(-1), byte: null, logits: new Float32Array() }];
    },
  };
  const lane = new BatchLane(batch as unknown as ContinuousBatch, true);
  const heard: unknown[][] = [[], []];
  const [first, second] = heard.map((list) => job(list));
  // As the scheduler does it: a free place is given to who waits.
  let waiting = true;
  lane.onFree = () => {
    if (!waiting) return;
    waiting = false;
    lane.begin(second);
  };
  lane.begin(first);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(heard).toEqual([['no number'], ['stop']]);
});

test('a text hears in another thread what it hears in its own, and nothing after it has had enough', () => {
  const text = fc.record({
    bytes: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }),
    end: fc.constantFrom<EndReason | 'failed'>('stop', 'length', 'failed'),
    logprobs: fc.constantFrom(null, 1),
    patience: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(3), { maxLength: 30 }),
      (texts, order) => {
        const writer = new NewsWriter();
        const heard: unknown[][] = texts.map(() => []);
        const jobs = new Map(texts.map((one, i) => [i, job(heard[i], one)] as const));
        const stopped: number[] = [];
        const at = texts.map(() => 0);
        let now = 0;
        const step = (i: number): void => {
          const { bytes, end, logprobs } = texts[i];
          const n = at[i]++;
          if (n < bytes.length) {
            writer.byte(i, { byte: bytes[n], logprob: -n, top: { a: i } }, logprobs !== null, n === 0);
          } else if (n === bytes.length) {
            if (end === 'failed') writer.failure(i, new Error(`text ${i}`));
            else writer.end(i, end);
          }
          const news = writer.take(now++, { rounds: now, bytes: 0 });
          if (!news) return;
          tellNews(structuredClone(news), jobs, (number) => {
            stopped.push(number);
            jobs.delete(number);
          });
        };
        for (const i of order) step(i % texts.length);
        texts.forEach(({ bytes }, i) => {
          while (at[i] <= bytes.length) step(i);
        });
        texts.forEach(({ bytes, end, logprobs, patience }, i) => {
          const entries = bytes.map((byte, n) => (logprobs === null ? byte : { byte, logprob: -n, top: { a: i } }));
          const all = [...entries, end === 'failed' ? `text ${i}` : end];
          expect(heard[i]).toEqual(patience <= bytes.length ? entries.slice(0, patience) : all);
          expect(stopped.includes(i)).toBe(patience <= bytes.length);
        });
        expect(jobs.size).toBe(0);
      },
    ),
    { numRuns: runs(40) },
  );
});
