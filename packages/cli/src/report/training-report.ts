/** @file Collects the facts of a finished run and writes its report.html. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint, Evaluation, Session } from '@blt-ts/blt';
import type { Document } from '../data/document.ts';
import { concatenated } from '../data/document.ts';
import { readMetrics } from '../run/metrics-file.ts';
import { parametersByPart } from '../run/model-size.ts';
import type { RunRecord } from '../run/record.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { CompressorFigure } from './compressors.ts';
import { patchBytes } from './patch-bytes.ts';
import { renderReport } from './report.ts';

/** Held-out bytes shown with their patches. */
const EXCERPT_BYTES = 700;

/** Everything that the report of a run shows. */
export interface TrainingReport {
  readonly folder: string;
  readonly record: RunRecord;
  readonly session: Session;
  readonly checkpoint: Checkpoint;
  readonly data: string;
  readonly trainBytes: number;
  /** The held-out documents that were measured: all, or a sample. */
  readonly heldOut: readonly Document[];
  readonly heldOutBytes: number;
  /** The bytes that were measured, in words. */
  readonly measured: string;
  readonly backend: string;
  readonly seconds: number;
  /** The full evaluation of the best step; null if nothing is held out. */
  readonly full: Evaluation | null;
  readonly compressors: readonly CompressorFigure[];
  readonly samples: readonly { step: number; prompt: string; text: string }[];
}

/** Writes report.html beside the run's other files. @returns its path */
export async function writeReport(r: TrainingReport): Promise<string> {
  const metrics = readMetrics(join(r.folder, 'metrics.jsonl'));
  const excerpt = concatenated(r.heldOut).subarray(0, EXCERPT_BYTES);
  const best = r.session.best;
  const { steps } = r.session;
  const kept = best ? `; kept step ${best.step}` : '';
  const html = renderReport({
    run: r.folder.split(/[\\/]/).filter(Boolean).at(-1) ?? 'run',
    status: r.session.step < steps ? `stopped early at step ${r.session.step}${kept}` : 'finished',
    command: r.record.command,
    startedAt: r.record.startedAt,
    seconds: r.seconds,
    steps: r.session.step,
    data: r.data,
    trainBytes: r.trainBytes,
    sampleBytes: r.record.sample?.trainBytes,
    hidesNgrams: r.record.plan.leaveOneOut,
    heldOutBytes: r.heldOutBytes,
    bytesSeen: r.session.bytesSeen,
    patchSizeMean: r.session.heldOutBytes > 0 ? r.session.heldOutPatchBytes() : undefined,
    backend: r.backend,
    best:
      best && r.full
        ? {
            step: best.step,
            bytes: metrics.find((m) => m.step === best.step)?.bytes ?? r.session.bytesSeen,
            heldOutBitsPerByte: r.full.bitsPerByte,
            standardError: r.full.standardError,
          }
        : null,
    measured: r.measured,
    compressors: r.compressors,
    parameters: parametersByPart(r.record.plan).filter((p) => p.count > 0),
    curve: metrics.map((m) => ({
      bytes: m.bytes,
      train: m.bitsPerByte ?? null,
      heldOut: m.heldOutBitsPerByte ?? null,
    })),
    excerpt: excerpt.length > 0 ? await patchBytes(excerpt, r.checkpoint) : undefined,
    samples: r.samples,
    config: r.record,
  });
  const path = join(r.folder, 'report.html');
  try {
    await writeFile(`${path}.tmp`, html);
    await rename(`${path}.tmp`, path);
  } catch (error) {
    await rm(`${path}.tmp`, { force: true }).catch(() => {});
    throw new UserError(`the model is saved, but its report ${path} cannot be written: ${reason(error)}`, 1, {
      cause: error,
    });
  }
  return path;
}
