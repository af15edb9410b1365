/** @file How many steps a plan has, and after how many of them it is evaluated. */
import type { RunOptions } from './sizes.ts';

/** Evaluations in a run. Each comes with a save, and takes as long as some ten steps, so that there are few in a short run. */
const EVALUATIONS = { least: 2, most: 6 };
/** Steps between two of them, where that gives neither too few nor too many. */
const STEPS_BETWEEN_EVALUATIONS = 200;

/** Steps over so many bytes, each of `bytesPerStep`: at least 20, and at most `passes` over the corpus, because more is memorising. */
export function stepsOver(bytes: number, bytesPerStep: number, passes: number, trainBytes: number): number {
  return Math.ceil(Math.max(20 * bytesPerStep, Math.min(bytes, passes * trainBytes)) / bytesPerStep);
}

/** Passes over a corpus. In the second one n-grams are left out, see leave-one-out.ts. A third was not measured. */
const ENOUGH_PASSES = 2;
/** A small corpus is seen more often, because fewer steps than these are too few to learn from, and twelve times at most. */
const ENOUGH_STEPS = 600;
const MOST_PASSES = 12;

/** Steps of the model over `bytes` at most. */
export function modelSteps(bytes: number, bytesPerStep: number, trainBytes: number): number {
  const passes = Math.max(
    ENOUGH_PASSES,
    Math.min(MOST_PASSES, (ENOUGH_STEPS * bytesPerStep) / Math.max(1, trainBytes)),
  );
  return stepsOver(bytes, bytesPerStep, passes, trainBytes);
}

/** Steps in which a run reads its corpus twice, or a small one so often that it learns, whatever its size would read at most. */
export const enoughSteps = (bytesPerStep: number, trainBytes: number): number =>
  modelSteps(Number.POSITIVE_INFINITY, bytesPerStep, trainBytes);

/** Whether a run of so many passes leaves n-grams out from the second one on. Somebody who gives a rate of dropout has chosen another way. */
export const leavesOneOut = (o: RunOptions, passes: number): boolean =>
  o.leaveOneOut ?? (o.dropout === undefined && o.hashDropout === undefined && passes > 1);

/** Steps between two evaluations of a run of so many. The last one is at its end. */
export function evaluationInterval(steps: number): number {
  const wanted = Math.round(steps / STEPS_BETWEEN_EVALUATIONS);
  return Math.max(1, Math.ceil(steps / Math.min(EVALUATIONS.most, Math.max(EVALUATIONS.least, wanted))));
}
