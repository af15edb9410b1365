/** @file Keeps the resident memory of a long run flat. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Steps from one full collection to the next. */
const COLLECT_EVERY = 50;

/**
 * Keeps V8's heap as large as training needs it, from when this is made.
 *
 * Young generation: some objects of a training step are alive whenever the collector looks. V8 adds them up, and each time the sum
 * exceeds the young generation it doubles that, although all of them die with their step: a run of nano grew from 130 MB to 300 MB
 * in 2,000 steps (Node 24), of which JavaScript used 8. It stays at the size it has.
 *
 * Old generation: those that are looked at twice move there, and stay until it has grown by several megabytes. Collecting it every
 * 50 steps takes some 5 ms.
 */
export class SteadyHeap {
  private steps = 0;
  private readonly collect: () => void;

  constructor() {
    setFlagsFromString('--semi-space-growth-factor=1');
    // The function is there in contexts made while the flag is set.
    setFlagsFromString('--expose-gc');
    this.collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
    // What reading the corpus and drawing the first weights left behind.
    this.collect();
  }

  /** To be called after each training step. */
  step(): void {
    if (++this.steps % COLLECT_EVERY === 0) this.collect();
  }
}
