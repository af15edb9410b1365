/** @file The place in its work at which a run begins, or goes on. */
import { join } from 'node:path';
import type { RunPlan } from '@blt-ts/blt';
import type { RunFolder } from '../run/folder.ts';
import { modelSteps, readStateJson } from '../run/state-files.ts';
import type { Position } from './time-budget.ts';

/** The place of a run of which nothing is done. */
export const startOf = ({ entropyModel }: RunPlan): Position => ({
  phase: 'entropy model',
  step: 0,
  steps: entropyModel?.loop.steps ?? 0,
});

/** The place of a saved run. @throws UserError if its newest step cannot be read */
export async function savedPosition(folder: RunFolder, plan: RunPlan): Promise<Position> {
  const latest = await folder.latestName();
  if (latest === null) return startOf(plan);
  const state = readStateJson(join(folder.path, latest));
  const { phase, loop } = state;
  if (phase !== 'entropy model') return { phase, step: loop?.step ?? 0, steps: modelSteps(state, plan) };
  const start = startOf(plan);
  return { ...start, step: loop?.step ?? 0, steps: loop?.steps ?? start.steps };
}
