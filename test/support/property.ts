import type { Law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import { test } from 'vitest';
import { runs } from './runs.ts';

const seed = process.env.BLT_SEED === undefined ? undefined : Number(process.env.BLT_SEED);

// A mutation run needs to know that a law fails, not on how small a case.
const endOnFailure = process.env.BLT_SHRINK === '0';

/** A test that a law holds for `n` generated cases. A failure prints its seed; `BLT_SEED=<seed>` replays it. */
export function property<T>(law: string, cases: fc.Arbitrary<T>, n: number, check: (x: T) => void): void {
  const holds = fc.property(cases, (x) => {
    check(x);
  });
  test(law, () => fc.assert(holds, { numRuns: runs(n), seed, endOnFailure }));
}

/** A test of each law, with its own number of cases, or `most` where these are fewer. */
export function holdLaws(laws: readonly Law[], most = Number.POSITIVE_INFINITY): void {
  for (const law of laws) {
    test(law.name, () => law.check({ cases: runs(Math.min(law.cases, most)), seed, shrink: !endOnFailure }));
  }
}
