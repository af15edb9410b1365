/** @file Pauses in work that waits for nothing: without them signals and closed pipes are heard at its end alone. */
import { setImmediate } from 'node:timers/promises';

/** A pause for long work, to be awaited often: after the first it is one only when so many milliseconds have gone by since the last. */
export function breathing(every: number): () => Promise<void> {
  let next = 0;
  return async () => {
    if (performance.now() < next) return;
    await setImmediate();
    next = performance.now() + every;
  };
}
