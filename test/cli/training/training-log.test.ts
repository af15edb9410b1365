/** @file The lines about progress: only work that takes a while has one, each counted from its own start. */
import { expect, test, vi } from 'vitest';
import type { TrainingJob } from '../../../packages/cli/src/training/training-job.ts';
import { TrainingLog } from '../../../packages/cli/src/training/training-log.ts';

test('a short evaluation shows no progress, however long ago the last one was', () => {
  let now = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  try {
    const shown: string[] = [];
    const out = { say() {}, finish() {}, drop() {}, status: (line: string) => void shown.push(line) };
    const log = new TrainingLog({} as TrainingJob, out);
    const evaluation = (ms: number): void => {
      for (let done = 10; done <= 40; done += 10) {
        log.progress('evaluation', { done, total: 40 });
        now += ms;
      }
      log.measured();
      now += 60_000;
    };
    evaluation(100);
    evaluation(100);
    expect(shown).toEqual([]);
    evaluation(900);
    expect(shown).toEqual(['held-out       30 B of 40 B  eta 0.9s']);
  } finally {
    clock.mockRestore();
  }
});
