/** @file One run at a glance, from its folder. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { latestFolder, listFolders } from '../files/atomic-folder.ts';
import { UserError } from '../terminal/errors.ts';
import { plusMinus } from '../terminal/human-units.ts';
import { RunFolder, STEP } from './folder.ts';
import { type FullEvaluation, readFullEvaluation } from './full-evaluation.ts';
import { lockOwner } from './lock.ts';
import { readMetrics } from './metrics-file.ts';
import type { MetricsRecord } from './metrics-records.ts';
import { parametersByPart } from './model-size.ts';
import type { RunRecord } from './record.ts';
import { modelSteps, readStateJson, STATE_JSON } from './state-files.ts';

/** stopped: it can go on with --resume. empty: nothing was saved. broken: its files cannot be read. */
export type RunState = 'training' | 'finished' | 'stopped' | 'empty' | 'broken';

/** One run in a line, as `blt runs` shows it. */
export interface RunSummary {
  readonly name: string;
  readonly path: string;
  readonly state: RunState;
  /** Why it is broken, or the process that trains it. */
  readonly note: string | null;
  readonly step: number;
  readonly steps: number | null;
  readonly bytes: number;
  /** The step with the lowest quick evaluation, and that figure. */
  readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
  /** The full evaluation of the best step, made at the end of a run. */
  readonly full: FullEvaluation | null;
  readonly parameters: number | null;
  /** Seconds of training. */
  readonly seconds: number;
  readonly startedAt: string | null;
}

/** A run with its record and all its metrics. */
export interface RunDetails extends RunSummary {
  readonly record: RunRecord;
  readonly metrics: readonly MetricsRecord[];
}

/** @throws UserError, ConfigError if the folder is no sound run */
export async function runDetails(path: string): Promise<RunDetails> {
  const record = await new RunFolder(path).record();
  const metrics = readMetrics(join(path, 'metrics.jsonl'));
  const owner = await lockOwner(path);
  let best: RunSummary['best'] = null;
  for (const { step, heldOutBitsPerByte: bits } of metrics) {
    if (typeof bits === 'number' && (best === null || bits < best.bitsPerByte)) best = { step, bitsPerByte: bits };
  }
  const evaluated = readFullEvaluation(path);
  // A run that has gone on since may have another best step.
  const full = evaluated && evaluated.step === best?.step ? evaluated : null;
  const saved = await latestFolder(path, { only: STEP });
  const last = metrics.at(-1);
  const steps = stepsInAll(path, saved, record);
  // A batch that was left out is a step without a line.
  const step = Math.max(last?.step ?? 0, Number(saved?.replace(/^step-/, '') ?? 0) || 0);
  const stale = metrics.filter((m) => typeof m.heldOutBitsPerByte === 'number' && m.step > (best?.step ?? 0)).length;
  // A report is also written when the time is up.
  const ended = existsSync(join(path, 'report.html')) && (step >= steps || stale >= record.plan.patience);
  const state: RunState = owner ? 'training' : ended ? 'finished' : saved ? 'stopped' : 'empty';
  return {
    name: basename(path),
    path,
    state,
    note: owner ? `process ${owner.pid}` : null,
    step,
    steps,
    bytes: last?.bytes ?? 0,
    best,
    full,
    parameters: parametersByPart(record.plan).reduce((sum, { count }) => sum + count, 0),
    seconds: last?.seconds ?? 0,
    startedAt: record.startedAt,
    record,
    metrics,
  };
}

/** Updates of a run in all. A run that is being trained may have cleared its saved step away meanwhile. */
function stepsInAll(path: string, saved: string | undefined, { plan }: RunRecord): number {
  if (saved === undefined || !existsSync(join(path, saved, STATE_JSON))) return plan.model.loop.steps;
  return modelSteps(readStateJson(join(path, saved)), plan);
}

/** The held-out figure of a run: the full one where there is one, else the best quick one, named so. Null before the first evaluation. */
export function heldOutFigure({ best, full }: Pick<RunSummary, 'best' | 'full'>): string | null {
  if (full) return `${plusMinus({ ...full, bitsPerByte: full.heldOutBitsPerByte }, 3)} bpb`;
  return best && `${best.bitsPerByte.toFixed(3)} bpb (quick)`;
}

/** All runs in a folder, newest first; those that cannot be read are listed as broken. */
export async function listRuns(root: string): Promise<RunSummary[]> {
  const found: RunSummary[] = [];
  for (const name of await listFolders(root)) {
    const path = join(root, name);
    if (!existsSync(join(path, 'config.json'))) continue;
    try {
      const { record: _, metrics: __, ...summary } = await runDetails(path);
      found.push(summary);
    } catch (error) {
      if (!(error instanceof UserError) && (error as Error).name !== 'ConfigError') throw error;
      const note = (error as Error).message;
      const nothing = {
        step: 0,
        steps: null,
        bytes: 0,
        best: null,
        full: null,
        parameters: null,
        seconds: 0,
        startedAt: null,
      };
      found.push({ name, path, state: 'broken', note, ...nothing });
    }
  }
  return found.sort((a, b) => (b.startedAt ?? '').localeCompare(a.startedAt ?? ''));
}
