/** @file The rules by which bytes are cut into patches, as runs and prepared shards have them on disk. */
import * as z from 'zod';

const maxPatchLength = z.int().min(1).nullable().optional();

export const patchingSchema = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('entropy'),
    threshold: z.number(),
    monotonic: z.boolean().optional(),
    thresholdAdd: z.number().nullable().optional(),
    maxPatchLength,
  }),
  z.strictObject({ mode: z.enum(['space', 'byte', 'bpe']), maxPatchLength }),
  z.strictObject({ mode: z.literal('static'), patchSize: z.int().min(1), maxPatchLength }),
]);
