/** @file Housekeeping of a run: when to save, to sample and to stop. Nothing here changes the bits of the model. */
import * as z from 'zod';
import type { FileConfig } from '../config/config-schema.ts';

/** Saving, sampling and the time budget of a run. They may change at every resume, because they do not change the bits. */
export const housekeepingSchema = z.strictObject({
  /** Wall-clock budget of one start; null: none. */
  minutes: z.number().gt(0).nullable(),
  /** Steps between saves; 0: at evaluations alone. */
  saveEvery: z.int().min(0),
  /** Steps between sample texts; 0: at the end alone. */
  sampleEvery: z.int().min(0),
  /** Saved steps kept beside the best. */
  keepLast: z.int().min(1),
  tensorboard: z.boolean(),
  /** Whether the run gets a memory beside the model. Runs of earlier versions do not say. */
  memory: z.boolean().default(true),
});
export type Housekeeping = z.infer<typeof housekeepingSchema>;
export const DEFAULT_HOUSEKEEPING: Housekeeping = {
  minutes: null,
  saveEvery: 0,
  sampleEvery: 0,
  keepLast: 1,
  tensorboard: false,
  memory: true,
};

/** Housekeeping of a run: flags and config file win over earlier choices. */
export function housekeepingOf(
  before: Housekeeping,
  { train = {} }: FileConfig,
  { tensorboard = false }: { tensorboard?: boolean },
): Housekeeping {
  return {
    minutes: train.minutes ?? before.minutes,
    saveEvery: train.save_every ?? before.saveEvery,
    sampleEvery: train.sample_every ?? before.sampleEvery,
    keepLast: train.keep_last ?? before.keepLast,
    tensorboard: tensorboard || before.tensorboard,
    memory: train.memory === undefined ? before.memory : train.memory === 'on',
  };
}
