/** @file The work that is done while a model is trained: who gets a core when. */
import { expect, test } from 'vitest';
import type { TrainingJob } from '../../../packages/cli/src/training/training-job.ts';
import { hasRoomBeside, WorkBeside } from '../../../packages/cli/src/training/work-beside.ts';

const text = (words: string) => [{ name: 'a.txt', bytes: Buffer.from(words.repeat(50)) }];

/** A run without a memory on a backend of so many threads; undefined: on a device. Calls of `pauseThreads` are kept. */
function jobOn(threads?: number): { job: TrainingJob; paused: boolean[] } {
  const paused: boolean[] = [];
  const backend = { threads, pauseThreads: (now: boolean) => paused.push(now) };
  const parts = { record: { care: { memory: false } }, end: text('so it is. '), heldOut: text('it is so. ') };
  return { job: { ...parts, backend } as unknown as TrainingJob, paused };
}

test('there is room for it beside two threads and beside a device, and none beside one thread', () => {
  expect([1, 2, 8, undefined].map((threads) => hasRoomBeside(jobOn(threads).job))).toEqual([false, true, true, true]);
});

test('of two threads it gets the second one until it is done; of more, and on a device, kernels keep theirs', async () => {
  for (const [threads, expected] of [
    [2, [true, false]],
    [8, []],
    [undefined, []],
  ] as const) {
    const { job, paused } = jobOn(threads);
    const beside = new WorkBeside(job);
    beside.makeRoom(job);
    expect(paused).toEqual(expected.slice(0, 1));
    expect((await beside.compressors).map(({ name }) => name).sort()).toEqual([
      'brotli -11',
      'gzip -9',
      'gzip -9 alone',
    ]);
    expect(paused).toEqual(expected);
    expect(beside.memory).toBe(null);
    await beside.end();
  }
});

test('ended before it is done, it gives the second thread back', async () => {
  const { job, paused } = jobOn(2);
  const beside = new WorkBeside({ ...job, end: text('a long text '.repeat(8000)) });
  beside.makeRoom(job);
  await beside.end();
  await expect(beside.compressors).rejects.toThrow();
  expect(paused).toEqual([true, false]);
});
