/** @file Keeps the resident memory of a long run, or of a server, flat. */
import { setFlagsFromString } from 'node:v8';
import { collectGarbage, giveBackMemory } from './collect-garbage.ts';

/** The part of a run's time that full collections may take. */
const SHARE = 0.005;

/**
 * Keeps V8's heap as large as it is when this is made.
 *
 * Young generation: some objects of a training step are alive whenever the collector looks. V8 adds them up, and each time the sum
 * exceeds the young generation it doubles that, although all of them die with their step: a run of nano grew from 130 MB to 300 MB
 * in 2,000 steps (Node 24), of which JavaScript used 8. It stays at the size it has.
 *
 * Compilers: each of V8's compiler threads keeps as much memory as its largest function took, 5 to 6 MB where callees are inlined up
 * to the default of 920 bytes of bytecode, 3 MB with 100. A step is as fast, for kernels do its work.
 *
 * Old generation: objects that are looked at twice move there, and stay until it has grown by several megabytes; a full collection
 * takes some 5 ms. There is one after every step, or as many as fit in half a percent of the time.
 */
export class SteadyHeap {
  /** No collection before this time, in ms. */
  private next = 0;
  /** Milliseconds of a collection while nobody else has the processor. */
  private quickest = Number.POSITIVE_INFINITY;

  /**
   * @param work who does most of it. Where it is kernels, compilers inline less, and what is free is given back. Where it is JavaScript, as in a
   * server that makes many texts, that cost a sixth of the speed.
   */
  constructor(work: 'kernels' | 'JavaScript' = 'kernels') {
    setFlagsFromString('--semi-space-growth-factor=1');
    if (work === 'kernels') {
      setFlagsFromString('--max-inlined-bytecode-size-cumulative=100');
      // What reading the corpus and drawing the first weights left behind.
      giveBackMemory();
    } else collectGarbage();
  }

  /** To be called after each training step, or once a second. */
  step(): void {
    const begin = performance.now();
    if (begin < this.next) return;
    collectGarbage();
    const end = performance.now();
    // On a busy machine collections take longer, but what they collect does not grow more slowly.
    this.quickest = Math.min(this.quickest, end - begin);
    this.next = end + this.quickest / SHARE;
  }
}
