/** @file The threads that share the passes of a run's steps. */
import { PassWorkers, type RunPlan } from '@blt-ts/blt';
import type { Backend, WasmBackend } from '@blt-ts/tensor';
import { startThread } from '../threads/own-thread.ts';

type Loop = RunPlan['model']['loop'];

/** The numbers that say how many passes a step has. */
type Batch = Pick<Loop, 'batchRows' | 'passRows' | 'accumulation'>;

/** Passes of one step. */
const passes = ({ batchRows, passRows = batchRows, accumulation }: Batch): number =>
  accumulation * Math.ceil(batchRows / passRows);

/** More passes than these, or than there are threads for, take as long as so many of these. */
const ENOUGH_PASSES = 16;

/** A shorter step of the same passes, and how many times as long the whole one takes. @param lanes passes that are computed at once */
export function shortStep(
  batch: Batch,
  lanes: number,
): { step: Pick<Batch, 'batchRows' | 'accumulation'>; times: number } {
  const { batchRows, passRows = batchRows } = batch;
  const most = lanes * Math.ceil(ENOUGH_PASSES / lanes);
  const rows = Math.min(batchRows, most * passRows);
  const step = {
    batchRows: rows,
    accumulation: Math.min(batch.accumulation, Math.max(1, Math.floor(most / Math.ceil(rows / passRows)))),
  };
  const rounds = (of: Batch): number => Math.ceil(passes(of) / lanes);
  return { step, times: rounds(batch) / rounds({ ...batch, ...step }) };
}

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
