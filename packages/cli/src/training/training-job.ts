/** @file Everything a run needs to be trained: its folder, its data, its plan and what computes. */
import type { MarkedCorpus, WarmStart } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import type { Document } from '../data/document.ts';
import type { RunFolder } from '../run/folder.ts';
import type { RunRecord } from '../run/record.ts';
import { shellWords } from '../terminal/shell-words.ts';
import type { TimeBudget } from './time-budget.ts';

/** The input of `TrainingRun`. */
export interface TrainingJob {
  readonly folder: RunFolder;
  readonly record: RunRecord;
  /** The end of the training part: no less of it than memory and compressors read. */
  readonly end: readonly Document[];
  /** Bytes of the whole training part. */
  readonly trainBytes: number;
  /** The held-out documents that are measured: all, or a sample. */
  readonly heldOut: readonly Document[];
  readonly heldOutBytes: number;
  /** The names of the sources that are measured by themselves, by number; null or left out: all text is measured as one. */
  readonly heldOutSources?: readonly string[] | null;
  readonly budget: TimeBudget;
  /** Seconds that the compressors of the report may take. */
  readonly compressorSeconds?: number;
  /** The data in words. */
  readonly title: string;
  readonly corpus: MarkedCorpus;
  /** Pretrained weights and prepared entropies that the run starts from. They are asked for only if they are needed. */
  readonly warmStart?: () => Promise<WarmStart>;
  readonly backend: Backend;
  /** The backend, and why it was chosen. */
  readonly why: string;
  readonly detectAnomaly: boolean;
}

/** The command that goes on with this run. */
export function resumeCommand({ folder, record }: TrainingJob, ...flags: readonly string[]): string {
  const command = shellWords(['blt', 'train', '--resume', folder.path, ...flags]);
  const stdin = record.data.some((source) => /^-(?:=|$)/.test(source)) || record.heldOut?.includes('-');
  return stdin ? `${command} < FILE, with the bytes that were given on standard input` : command;
}
