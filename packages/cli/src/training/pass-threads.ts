/** @file The threads that share the passes of a run's steps. */
import { PassWorkers, type RunPlan } from '@blt-ts/blt';
import type { Backend, WasmBackend } from '@blt-ts/tensor';
import { startThread } from '../threads/own-thread.ts';

type Loop = RunPlan['model']['loop'];

/** Passes of one step. */
const passes = ({ batchRows, passRows = batchRows, accumulation }: Loop): number =>
  accumulation * Math.ceil(batchRows / passRows);

/** How many passes of the model's steps are computed at once. A plan without `passRows` has one after the other. */
export function lanesOf({ model: { loop } }: RunPlan, backend: Backend): number {
  const { threads = 1 } = backend as Partial<WasmBackend>;
  return loop.passRows === undefined ? 1 : Math.min(threads, passes(loop));
}

/** Threads for all passes of a step but one; null where the main thread computes all of them. */
export function passWorkers(plan: RunPlan, backend: Backend): PassWorkers | null {
  const lanes = lanesOf(plan, backend);
  if (lanes === 1) return null;
  return new PassWorkers(
    backend as WasmBackend,
    Array.from({ length: lanes - 1 }, () => startThread('passes', null)),
  );
}
