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

/** Passes over a corpus in a run whose time is not given. From the second one on n-grams are hidden, see leave-one-out.ts. */
const USUAL_PASSES = 2;
/** Passes of a run whose time is given: those after which a larger size is worth its time, and those after which there is nothing to gain. */
const PASSES_IN_TIME = { enough: 4, most: 16 };
/** A small corpus is seen more often, because fewer steps than these are too few to learn from, and twelve times at most. */
const ENOUGH_STEPS = 600;
const MOST_PASSES = 12;

/** Steps of so many passes, or of more over a small corpus, so that it learns. */
function stepsOfPasses(passes: number, bytes: number, bytesPerStep: number, trainBytes: number): number {
  const needed = Math.min(MOST_PASSES, (ENOUGH_STEPS * bytesPerStep) / Math.max(1, trainBytes));
  return stepsOver(bytes, bytesPerStep, Math.max(passes, needed), trainBytes);
}

/** Steps of the model over `bytes` at most, where its time is not given. */
export const modelSteps = (bytes: number, bytesPerStep: number, trainBytes: number): number =>
  stepsOfPasses(USUAL_PASSES, bytes, bytesPerStep, trainBytes);

/** Numbers of steps by which a run whose time is given is planned. Each is of so many passes, whatever its size would read at most. */
export interface TimedSteps {
  /** Those of a run whose time is not given. */
  readonly usual: number;
  /** So many that a larger size learns more in the time that is left. */
  readonly enough: number;
  /** More have nothing to gain. */
  readonly most: number;
}

export function timedSteps(bytesPerStep: number, trainBytes: number): TimedSteps {
  const steps = (passes: number) => stepsOfPasses(passes, Number.POSITIVE_INFINITY, bytesPerStep, trainBytes);
  return { usual: steps(USUAL_PASSES), enough: steps(PASSES_IN_TIME.enough), most: steps(PASSES_IN_TIME.most) };
}

/** Whether a run of so many passes leaves n-grams out from the second one on. Somebody who gives a rate of dropout has chosen another way. */
export const leavesOneOut = (o: RunOptions, passes: number): boolean =>
  o.leaveOneOut ?? (o.dropout === undefined && o.hashDropout === undefined && passes > 1);

/** Largest rate that was measured. */
const MOST_HIDING = 8;

/**
 * The rate of `longestShown` for a run of so many passes: half of them, and at least 2. Each pass lets the tables know more of what they are not to
 * be asked for. Measured in docs/laboratory/learning.md.
 */
export const hidingRateOf = (passes: number): number => Math.min(MOST_HIDING, Math.max(2, passes / 2));

/** Steps between two evaluations of a run of so many. The last one is at its end. */
export function evaluationInterval(steps: number): number {
  const wanted = Math.round(steps / STEPS_BETWEEN_EVALUATIONS);
  return Math.max(1, Math.ceil(steps / Math.min(EVALUATIONS.most, Math.max(EVALUATIONS.least, wanted))));
}
