/** @file The record of a run that nobody trained. */
import type { RunPlan } from '@blt-ts/blt';
import { DEFAULT_HOUSEKEEPING } from '../../packages/cli/src/run/housekeeping.ts';
import type { RunRecord } from '../../packages/cli/src/run/record.ts';

/** A record as `blt train --data a.txt` would write it. */
export const runRecord = (plan: RunPlan, startedAt = '2026-01-01T00:00:00.000Z'): RunRecord => ({
  format: 1,
  version: '0.1.0',
  command: 'blt train',
  startedAt,
  data: ['a.txt'],
  heldOut: null,
  heldOutFraction: 0.1,
  textField: null,
  dataHash: 'ab'.repeat(32),
  care: DEFAULT_HOUSEKEEPING,
  plan,
});
