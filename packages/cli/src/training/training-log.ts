/** @file Everything that `blt train` says while it trains: each line for people beside the event for machines. */
import { join, relative } from 'node:path';
import {
  CHAT_HEADING,
  type Evaluation,
  type Progress,
  type Session,
  type SessionEvent,
  type StepReport,
} from '@blt-ts/blt';
import type { CompressorFigure } from '../report/compressors.ts';
import { stepName } from '../run/folder.ts';
import { type SourceFigure, sourceFigures } from '../run/full-evaluation.ts';
import type { MetricsRecord } from '../run/metrics-records.ts';
import type { Sample } from '../run/samples-file.ts';
import { printableMessage } from '../terminal/errors.ts';
import { humanBytes, humanDuration, plusMinus } from '../terminal/human-units.ts';
import type { Stop } from '../terminal/interrupt.ts';
import { complain } from '../terminal/output.ts';
import { formatStatus } from '../terminal/progress.ts';
import { shellWords } from '../terminal/shell-words.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import { foreignPatches } from './foreign-patches.ts';
import { resumeCommand, type TrainingJob } from './training-job.ts';

/** Work that takes no longer needs no line about its progress. */
const SHORT_MS = 1000;
/** Bits per byte of a guess without knowledge. */
const CHANCE = 8;

/** A step of the model, with what is known beside its report. */
export interface ModelStep {
  readonly report: StepReport;
  readonly figures: MetricsRecord;
  readonly steps: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number;
  readonly heldOutBitsPerByte: number | undefined;
  readonly patchBytes: number | undefined;
}

/** The end of a run. */
export interface Ending {
  /** Null without held-out bytes. */
  readonly full: Evaluation | null;
  /** The same with a memory beside the model; null where there is none. */
  readonly withMemory: Evaluation | null;
  /** The bytes that `full` was measured on, in words. */
  readonly measured: string;
  readonly compressors: readonly CompressorFigure[];
  readonly seconds: number;
  readonly model: string;
  readonly report: string;
}

type EventOf<Kind extends SessionEvent['kind']> = Extract<SessionEvent, { readonly kind: Kind }>;

/** One method for each thing that is said. */
export class TrainingLog {
  private readonly job: TrainingJob;
  private readonly out: TrainingOutput;
  /** The work whose progress is being shown. */
  private work = { name: '', since: 0, done: 0 };

  constructor(job: TrainingJob, out: TrainingOutput) {
    this.job = job;
    this.out = out;
  }

  /** Takes the line of progress away. The next work begins anew, or it would seem to have lasted since the last one. */
  private endProgress(): void {
    this.out.drop();
    this.work = { name: '', since: 0, done: 0 };
  }

  /** Leaves the status line where it is, and begins another. */
  keepLine(): void {
    this.out.finish();
  }

  warning(message: string): void {
    this.out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  }

  /** The run was killed at step `done`, and its last save is of an earlier one. */
  stepsLost(done: number, saved: number): void {
    const from = saved === 0 ? 'the training begins anew' : `it goes on from step ${saved}`;
    this.warning(`the run had come to step ${done} and was killed before that was saved: ${from}`);
  }

  resumed(name: string, { phase, step }: Session): void {
    const folder = join(this.job.folder.path, name);
    this.out.say(`resumed        ${folder} (${phase})`, { event: 'resumed', folder, phase, step });
  }

  entropyModel({ evaluation }: EventOf<'entropy model'>): void {
    this.endProgress();
    const { train, heldOut } = this.job.corpus;
    const bytes = humanBytes([...train, ...heldOut].reduce((n, ids) => n + ids.length, 0));
    const figure = evaluation ? `${evaluation.bitsPerByte.toFixed(2)} held-out bits per byte` : 'trained';
    this.out.say(`entropy model  ${figure}; scoring ${bytes} ...`, {
      event: 'entropy_model',
      heldOutBitsPerByte: evaluation?.bitsPerByte ?? null,
    });
  }

  patched({ patches, meanPatchBytes, threshold }: EventOf<'patched'>): void {
    this.endProgress();
    const above = threshold === null ? '' : `, threshold ${threshold.toFixed(4)} nats`;
    this.out.say(`patches        ${patches}, ${meanPatchBytes.toFixed(2)} bytes on average${above}`, {
      event: 'patched',
      patches,
      patchSizeMean: meanPatchBytes,
      threshold,
    });
    const foreign = foreignPatches(this.job.record.plan, meanPatchBytes);
    if (foreign) this.warning(foreign);
  }

  /** How far scoring or an evaluation has come. Its end is told by its result. */
  progress(work: 'scoring' | 'evaluation' | 'memory', { done, total }: Progress): void {
    if (done >= total) return;
    if (this.work.name !== work || done < this.work.done) this.work = { name: work, since: performance.now(), done };
    const elapsed = performance.now() - this.work.since;
    if (elapsed < SHORT_MS) return;
    const perMs = (done - this.work.done) / elapsed;
    const eta = perMs > 0 ? `  eta ${humanDuration((total - done) / perMs / 1000)}` : '';
    const name = work === 'evaluation' ? 'held-out' : work;
    const event = { event: 'progress', work, done, total };
    this.out.status(`${name.padEnd(14)} ${humanBytes(done)} of ${humanBytes(total)}${eta}`, event);
  }

  entropyStep({ step, bitsPerByte }: StepReport, steps: number, bytesPerSecond: number, secondsLeft: number): void {
    this.out.status(
      `entropy model  step ${step}/${steps}  ${bitsPerByte?.toFixed(2) ?? '-'} bpb  ${humanBytes(bytesPerSecond)}/s  eta ${humanDuration(secondsLeft)}`,
      { event: 'step', phase: 'entropy model', step, steps, bitsPerByte, etaSeconds: secondsLeft },
    );
  }

  modelStep({ report, figures, steps, secondsLeft, patchBytes, ...known }: ModelStep): void {
    const status = formatStatus({
      step: report.step,
      steps,
      lossNats: report.lossNats,
      bitsPerByte: report.bitsPerByte ?? undefined,
      heldOutBitsPerByte: known.heldOutBitsPerByte,
      patchSizeMean: patchBytes,
      bytesPerSecond: known.bytesPerSecond,
      gradNorm: report.gradNorm,
      etaSeconds: secondsLeft,
    });
    this.out.status(status, { event: 'step', phase: 'model', steps, etaSeconds: secondsLeft, ...figures });
  }

  /** @param rewoundTo the save that the weights went back to, null if they did not */
  spike(step: number, lossNats: number, rewoundTo: string | null): void {
    const figure = Number.isFinite(lossNats) ? `${lossNats.toFixed(3)} nats` : 'not a number';
    const back = rewoundTo === null ? '' : `, and the weights go back to ${rewoundTo}`;
    this.out.finish();
    this.out.say(`spike          step ${step}: the loss is ${figure}; this batch is left out${back}`, {
      event: 'spike',
      step,
      lossNats,
      rewoundTo,
    });
  }

  evaluation({ step, evaluation, best, stale }: EventOf<'evaluation'>, session: Session, saved: string | null): void {
    const { bitsPerByte } = evaluation;
    const { heldOutSources } = this.job;
    const sources = heldOutSources ? sourceFigures(evaluation, heldOutSources) : null;
    this.endProgress();
    const verdict = best
      ? `best so far, saved ${stepName(step)}`
      : `worse than step ${session.best!.step} (${stale} in a row)`;
    this.out.say(
      `held-out       ${bitsPerByte.toFixed(3)} bpb (quick${sourcesText(sources)}) after ${humanBytes(session.bytesSeen)}: ${verdict}`,
      { event: 'evaluation', step, heldOutBitsPerByte: bitsPerByte, best, stale, saved, ...(sources && { sources }) },
    );
  }

  /** Why training ended, where that was not after the last step. */
  ended({ reason }: EventOf<'done'>, { best, modelStep }: Session): void {
    this.out.finish();
    const { record, folder } = this.job;
    if (reason === 'patience') {
      this.out.say(
        `stopped early: held-out text got worse ${record.plan.patience} times in a row; ${stepName(best!.step)} is kept`,
        { event: 'early_stop', reason: 'patience', best: best!.step },
      );
    }
    if (reason === 'asked') {
      const { minutes } = record.care;
      const model = best ? `the best step so far, ${stepName(best.step)}, is measured` : 'it is measured';
      this.out.say(
        `time is up: ${minutes} minutes, ${stepName(modelStep)} is saved and ${model}; go on: ${resumeCommand(this.job, '--minutes', String(minutes))}`,
        { event: 'early_stop', reason: 'minutes', step: modelStep, folder: folder.path },
      );
    }
  }

  /** @param saved folder of the last save, with its path */
  stopped({ why, signal }: Stop, saved: string, session: Session): void {
    if (session.phase === 'model' && !session.evaluationDue) this.out.finish();
    else this.endProgress();
    const text = `${why}; saved ${saved}. Go on with:\n  ${resumeCommand(this.job)}`;
    // Output that is broken takes no line any more.
    if (signal === null) complain(text);
    else this.out.say(text, { event: 'stopped', signal, saved });
  }

  /** @param bytes the held-out bytes that the best step is measured on, in words */
  measuring(bytes: string): void {
    this.out.say(`measuring the best step on ${bytes} held out ...`, { event: 'measuring' });
  }

  measured(): void {
    this.endProgress();
  }

  sample(sample: Sample): void {
    this.out.say(`\nsample\n${sample.prompt}${sample.text}\n`, { event: 'sample', ...sample });
  }

  done(
    { full, withMemory, measured, compressors, seconds, model, report }: Ending,
    { modelStep, best }: Session,
  ): void {
    const lines: string[] = [];
    if (full) {
      const others = ['full', ...compressors.map((y) => `${y.name} ${y.bitsPerByte.toFixed(2)}`)];
      lines.push(`held-out       ${plusMinus(full, 3)} bits per byte on ${measured} (${fullText(others)})`);
      if (full.bitsPerByte >= CHANCE) {
        lines.push(
          `               ${CHANCE} bits per byte is what guessing costs: the time was too short to learn anything, or the bytes are random`,
        );
      }
    }
    const { heldOutSources } = this.job;
    const sources = full && heldOutSources ? sourceFigures(full, heldOutSources) : null;
    for (const line of sources ?? []) lines.push(sourceLine(line));
    if (full && withMemory) lines.push(memoryLine(full, withMemory));
    lines.push(`trained for    ${humanDuration(seconds)}`);
    lines.push(`model          ${relative('.', model) || model}`);
    lines.push(`report         ${relative('.', report) || report}`);
    const chat = this.job.end.some(({ answers, bytes }) => answers && bytes[0] === CHAT_HEADING) ? ' --chat' : '';
    lines.push(
      `try            ${shellWords(['blt', 'generate', '--model', this.job.folder.path])}${chat} --prompt "..."`,
    );
    this.out.say(lines.join('\n'), {
      event: 'done',
      step: modelStep,
      best,
      heldOutBitsPerByte: full?.bitsPerByte ?? null,
      standardError: full?.standardError ?? null,
      ...(sources && { sources }),
      heldOutBitsPerByteWithMemory: withMemory?.bitsPerByte ?? null,
      seconds,
      model,
      report,
    });
  }
}

/** `full; xz 2.5, brotli 2.4` */
const fullText = ([full, ...others]: readonly string[]): string =>
  others.length === 0 ? full : `${full}; ${others.join(', ')}`;

/** `; a.txt 2.012, b.txt 1.998` */
const sourcesText = (sources: readonly SourceFigure[] | null): string =>
  (sources ?? []).reduce(
    (text, { source, heldOutBitsPerByte: bits }, i) =>
      `${text}${i === 0 ? '; ' : ', '}${source} ${bits?.toFixed(3) ?? '-'}`,
    '',
  );

/** The figure of one source of a mixture. */
function sourceLine({ source, heldOutBitsPerByte: bitsPerByte, ...rest }: SourceFigure): string {
  if (bitsPerByte === null) return `               nothing of ${source} is held out`;
  return `               ${plusMinus({ bitsPerByte, ...rest }, 3)} on ${humanBytes(rest.bytes)} of ${source}`;
}

/** The figure with memory, and what follows from it. */
function memoryLine(alone: Evaluation, withMemory: Evaluation): string {
  const helps = withMemory.bitsPerByte < alone.bitsPerByte;
  const verdict = helps ? 'it helps, so eval and generate use it' : 'no help, so it is used only with --memory';
  return `with memory    ${plusMinus(withMemory, 3)} (the training text remembered beside the model; ${verdict})`;
}
