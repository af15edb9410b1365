import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { breathing } from '../../../packages/cli/src/threads/breathing.ts';

/** Whether the event loop came round while a pause was awaited. */
async function heard(breathe: () => Promise<void>): Promise<boolean> {
  let others = false;
  const loop = setImmediate().then(() => {
    others = true;
  });
  await breathe();
  const had = others;
  await loop;
  return had;
}

test('others have their turn once the time has gone by, and no pause is made before', async () => {
  for (const [every, again] of [
    [0, true],
    [1e6, false],
  ] as const) {
    const breathe = breathing(every);
    expect([await heard(breathe), await heard(breathe)]).toEqual([true, again]);
  }
});
