/**
 * @file The full evaluation of a run's best step, in evaluation.json. A run has two held-out figures. The quick one is measured between
 * steps, on rows without overlap of a sample of the held-out bytes; it is in metrics.jsonl and decides which step is best. The full one is
 * measured once at the end, on all held-out bytes or a large sample, each predicted with at least half a row of context; it is the one to quote.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evaluation } from '@blt-ts/blt';
import * as z from 'zod';
import { writeFileAtomically } from '../files/atomic-file.ts';
import { checked } from '../files/checked.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

export const FULL_EVALUATION = 'evaluation.json';

const schema = z.object({
  /** The step that was evaluated: the best one. */
  step: z.int().min(0),
  /** Bits per byte on the held-out bytes that were measured. */
  heldOutBitsPerByte: z.number(),
  /** Standard error of heldOutBitsPerByte, in bits per byte; null where it is not known. */
  standardError: z.number().nullable(),
  /** Held-out bytes that were measured. */
  bytes: z.int().min(1),
  /** The figures of each source of a mixture, null where no byte of it is held out; without the memory. */
  sources: z
    .array(
      z.object({
        source: z.string(),
        heldOutBitsPerByte: z.number().nullable(),
        standardError: z.number().nullable(),
        bytes: z.int().min(0),
      }),
    )
    .optional(),
  /** The same bytes with the memory beside the model. Not there without a memory, and in runs of earlier versions. */
  withMemory: z
    .object({
      heldOutBitsPerByte: z.number(),
      standardError: z.number().nullable(),
      /** Whether it is lower: then the memory is used where nothing else is said. */
      helps: z.boolean(),
    })
    .optional(),
});

export type FullEvaluation = z.infer<typeof schema>;
/** The figure of one source of a mixture. */
export type SourceFigure = NonNullable<FullEvaluation['sources']>[number];

/** The figures of an evaluation by source, with the sources' names. */
export const sourceFigures = ({ sources = [] }: Evaluation, names: readonly string[]): SourceFigure[] =>
  names.map((source, s) => {
    const found = sources[s];
    return {
      source,
      heldOutBitsPerByte: found?.bitsPerByte ?? null,
      standardError: found?.standardError ?? null,
      bytes: found?.bytes ?? 0,
    };
  });

/** @throws UserError naming the file */
export async function writeFullEvaluation(
  folder: string,
  step: number,
  evaluation: Evaluation,
  withMemory: Evaluation | null = null,
  heldOutSources: readonly string[] | null = null,
): Promise<void> {
  const { bitsPerByte, standardError, bytes } = evaluation;
  const sources = heldOutSources && sourceFigures(evaluation, heldOutSources);
  const record: FullEvaluation = {
    step,
    heldOutBitsPerByte: bitsPerByte,
    standardError,
    bytes,
    ...(sources && { sources }),
    ...(withMemory && {
      withMemory: {
        heldOutBitsPerByte: withMemory.bitsPerByte,
        standardError: withMemory.standardError,
        helps: withMemory.bitsPerByte < bitsPerByte,
      },
    }),
  };
  await writeFileAtomically(join(folder, FULL_EVALUATION), Buffer.from(`${JSON.stringify(record, null, 2)}\n`));
}

/** The full evaluation of a run; null where none has been made. @throws UserError naming the file and what is wrong with it */
export function readFullEvaluation(folder: string): FullEvaluation | null {
  const path = join(folder, FULL_EVALUATION);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${(error as Error).message}; delete it`, 1, { cause: error });
  }
  return checked(schema, value, path);
}
