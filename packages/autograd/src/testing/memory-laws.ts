/** @file The laws of memory: a loop that may run for ever takes no more of it than at first. */
import { type Backend, defaultBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { type Law, law } from './law.ts';

/** A loop under test. */
export interface LoopUnderTest {
  /** How the laws call it. */
  readonly name: string;
  /** One turn, counted from 1. It frees what it makes, with `scope`; what stays is the loop's own: parameters, moments. */
  readonly turn: (index: number) => unknown;
  /** Where it runs: the default backend unless said. */
  readonly backend?: Backend;
  /** Turns after which everything that stays has been made (default 2). */
  readonly settled?: number;
}

/** The most bytes in use while `f` runs, above what was in use before. */
export function peakBytes(backend: Backend, f: () => unknown): number {
  const before = backend.bytesInUse;
  const { allocate } = backend;
  let most = 0;
  backend.allocate = (dtype, length) => {
    const storage = allocate.call(backend, dtype, length);
    most = Math.max(most, backend.bytesInUse - before);
    return storage;
  };
  try {
    f();
  } finally {
    backend.allocate = allocate;
  }
  return most;
}

/**
 * The laws of a loop: after `settled` turns no turn leaves more bytes in use than the one before, and none has a higher peak.
 * They count the bytes of live tensors, so that they hold to the byte on every backend and at any time. Both laws go on from where
 * the loop is: the first to be checked runs the first turns.
 */
export function memoryLaws({ name, turn, backend = defaultBackend(), settled = 2 }: LoopUnderTest): Law[] {
  let turns = 0;
  const next = () => turn(++turns);
  const settle = () => {
    while (turns < settled) next();
  };
  let highest: number | undefined;
  return [
    law(`${name}: a turn leaves as many bytes in use as the one before`, fc.constant(null), 8, () => {
      settle();
      const before = backend.bytesInUse;
      next();
      const grown = backend.bytesInUse - before;
      if (grown !== 0)
        throw new Error(`turn ${turns} left ${grown} bytes more; free what it makes with scope(() => ...)`);
    }),
    law(`${name}: a turn has no higher peak than the one before`, fc.constant(null), 8, () => {
      settle();
      highest ??= peakBytes(backend, next);
      const peak = peakBytes(backend, next);
      if (peak > highest)
        throw new Error(`turn ${turns} had ${peak} bytes in use at its peak, an earlier one ${highest}`);
    }),
  ];
}
