/** @file Measures of finished runs as experiments ask for them, and their figures as results.json has them. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import type { RunConfig } from './run-config.ts';
import type { DocumentScore, StudyFolder } from './run-folders.ts';

/** The schema of a measure. */
export const measure = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('noise'),
    /** Bytes of each held-out document that are spoilt. */
    excerpt_bytes: z.int().min(1),
    /** Choices among four continuations, under each noise. */
    items: z.int().min(1),
  }),
  /** The tests of the corpus, as far as so many items of each. */
  z.strictObject({ kind: z.literal('tasks'), items: z.int().min(1) }),
  /** The first bytes of so many held-out documents, continued by patch models with cross-attention. Other models have no figures. */
  z.strictObject({
    kind: z.literal('decoding'),
    texts: z.int().min(1),
    prompt_bytes: z.int().min(1),
    bytes: z.int().min(1),
  }),
]);

/** See `measure`. */
export type Measure = z.infer<typeof measure>;

/** The figures of one noise. */
export interface NoiseFigures {
  readonly noise: string;
  /** Bits of the spoilt text, and bytes of the text before it was spoilt. */
  readonly documents: readonly DocumentScore[];
  /** For each item 1 if the true continuation costs the fewest bits per byte, else 0. */
  readonly choices: string;
}

/** The figures of one test. */
export interface TaskFigures {
  readonly task: string;
  /** For each item 1 if greedy decoding writes the answer, else 0. */
  readonly items: string;
  /** For each item 1 if its word is one token or patch to the model, else 0. */
  readonly whole: string;
}

/** The figures of decoding. */
export interface DecodingFigures {
  /** Bytes made. */
  readonly bytes: number;
  /** Steps of the global model: one for each patch, those of the prompts included. */
  readonly globalSteps: number;
  /** Bytes read, those of the prompts included. */
  readonly bytesRead: number;
  /** Processor time of all of it, one thread. */
  readonly milliseconds: number;
}

/** The result of a measure. */
export type Measured =
  | { readonly kind: 'noise'; readonly noises: readonly NoiseFigures[] }
  | { readonly kind: 'tasks'; readonly tasks: readonly TaskFigures[] }
  | { readonly kind: 'decoding'; readonly decoding: DecodingFigures | null };

/** The name of a measure: its kind, and the first eight hexadecimal digits of the SHA-256 of its options. */
export const measureName = (m: Measure): string => `${m.kind}-${hash('sha256', JSON.stringify(m), 'hex').slice(0, 8)}`;

/** The file of a measure of a run. */
export const measurePath = (config: RunConfig, m: Measure, folder: StudyFolder): string =>
  folder.runPath(config, `${measureName(m)}.json`);

/** The figures of a measure; null if it has not been taken. */
export function measured(config: RunConfig, m: Measure, folder: StudyFolder): Measured | null {
  const path = measurePath(config, m, folder);
  return folder.has(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
}

/** Whether a measure has been taken. */
export const isMeasured = (config: RunConfig, m: Measure, folder: StudyFolder): boolean =>
  folder.has(measurePath(config, m, folder));
