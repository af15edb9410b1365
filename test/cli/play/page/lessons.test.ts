/** The page's side of the chapters about the whole model, with a worker that answers when it is told to. */
import { expect, test, vi } from 'vitest';
import { Lessons } from '../../../../packages/cli/src/play/page/lessons.ts';
import type { WorkerClient } from '../../../../packages/cli/src/play/page/worker-client.ts';

/** The few elements that the class touches. */
function pageWithModels(): { choose(slot: string): void; said(): string } {
  let changed = () => {};
  const list = {
    value: 'built-in',
    options: [{ value: 'built-in' }, { value: 'loaded' }],
    addEventListener: (_: string, listener: () => void) => {
      changed = listener;
    },
  };
  const place = { textContent: '', hidden: true, dataset: {} };
  vi.stubGlobal('document', { getElementById: (id: string) => (id === 'lesson-model' ? list : place) });
  return {
    choose(slot) {
      list.value = slot;
      changed();
    },
    said: () => place.textContent,
  };
}

const settled = () => new Promise((done) => setTimeout(done));
const files = { config: new Blob(['{}']), weights: new Blob([]) };

test('answers about the earlier of two models are dropped, and so are its failures', async () => {
  const page = pageWithModels();
  const pending: { name: string; resolve(value: unknown): void; reject(error: Error): void }[] = [];
  const call = (name: string) => new Promise((resolve, reject) => pending.push({ name, resolve, reject }));
  const lessons = new Lessons({ call } as unknown as WorkerClient);
  lessons.offer('built-in', 'built in', files);
  lessons.offer('loaded', 'of a folder', files);
  const names = () => pending.map(({ name }) => name);

  const step = lessons.ask('untrain');
  const broken = lessons.ask('warmUp', new Uint8Array(3));
  expect(names()).toEqual(['useLessonModel']);
  pending[0].resolve(undefined);
  await settled();
  expect(names()).toEqual(['useLessonModel', 'untrain', 'warmUp']);

  page.choose('loaded');
  const late = lessons.ask('warmUp', new Uint8Array(3));
  pending[1].resolve('of the earlier model');
  pending[2].reject(new Error('the earlier model does not fit'));
  expect([await step, await broken]).toEqual([undefined, undefined]);
  expect(page.said()).toBe('');

  // A third choice while the second one is read: nothing is asked of the second.
  page.choose('built-in');
  const newest = lessons.ask('warmUp', new Uint8Array(3));
  pending[3].resolve(undefined);
  expect(await late).toBe(undefined);
  pending[4].resolve(undefined);
  await settled();
  expect(names().slice(3)).toEqual(['useLessonModel', 'useLessonModel', 'warmUp']);
  pending[5].resolve(true);
  expect(await newest).toBe(true);
});
