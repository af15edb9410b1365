/** @file Drives a session from start to end: saves, reports, samples, stops when asked to. */
import { join, relative } from 'node:path';
import {
  type Checkpoint,
  type Corpus,
  type Evaluation,
  type Given,
  generate,
  generateAsync,
  NonFiniteError,
  type Progress,
  Session,
  type SessionEvent,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { concatenated, type Document, lastBytes, totalBytes } from '../data/document.ts';
import { compressorFigures, MOST_CONTEXT_BYTES } from '../report/compressors.ts';
import { writeReport } from '../report/training-report.ts';
import { loadModel, type RunFolder, stepName } from '../run/folder.ts';
import { writeFullEvaluation } from '../run/full-evaluation.ts';
import { MetricsFile, readMetrics } from '../run/metrics-file.ts';
import type { RunRecord } from '../run/record.ts';
import { SamplesFile } from '../run/samples-file.ts';
import { EventFile } from '../run/tensorboard.ts';
import { printable } from '../terminal/byte-labels.ts';
import { printableMessage, UserError } from '../terminal/errors.ts';
import { humanBytes, humanDuration, plusMinus } from '../terminal/human-units.ts';
import { Interrupt } from '../terminal/interrupt.ts';
import { complain } from '../terminal/output.ts';
import { formatStatus } from '../terminal/progress.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import { SteadyHeap } from './steady-heap.ts';
import type { Position, TimeBudget } from './time-budget.ts';

export interface TrainingJob {
  readonly folder: RunFolder;
  readonly record: RunRecord;
  readonly train: readonly Document[];
  /** The held-out documents that are measured: all, or a sample. */
  readonly heldOut: readonly Document[];
  readonly heldOutBytes: number;
  readonly budget: TimeBudget;
  /** Seconds that the compressors of the report may take. */
  readonly compressorSeconds?: number;
  /** What the data are, in words. */
  readonly title: string;
  readonly corpus: Corpus;
  /** What the run starts from; asked for only if it is needed. */
  readonly warmStart?: () => Promise<Given>;
  readonly backend: Backend;
  /** Which backend, and why. */
  readonly why: string;
  readonly detectAnomaly: boolean;
}

/** However rare the evaluations are, no more work than this is ever lost. */
const LONGEST_UNSAVED_SECONDS = 600;
/** Work that takes no longer needs no line about its progress. */
const SHORT_MS = 1000;
/** Bits per byte of one who knows nothing. */
const CHANCE = 8;
/** Going back more often than this is no training. */
const MOST_REWINDS = 20;

export class TrainingRun {
  private readonly job: TrainingJob;
  private readonly out: TrainingOutput;
  private session!: Session;
  private readonly started = performance.now();
  private metrics: MetricsFile | undefined;
  private events: EventFile | null = null;
  private samples!: SamplesFile;
  private readonly interrupt = new Interrupt();
  private saved: string | null = null;
  /** Something has happened that is not on disk. */
  private unsaved = false;
  private savedAt = performance.now();
  private rewinds = 0;
  private heldOutBpb: number | undefined;
  private patchBytes: number | undefined;
  private secondsBefore = 0;
  private speed = { at: performance.now(), perSecond: 0 };
  /** The progress that is being shown. */
  private work = { name: '', since: 0, done: 0 };

  constructor(job: TrainingJob, out: TrainingOutput) {
    this.job = job;
    this.out = out;
  }

  /** @returns the exit code: 0, or 129, 130, 143 when stopped by a signal, 141 when nobody reads the output */
  async train(): Promise<number> {
    try {
      await this.startOrResume();
      const { session } = this;
      if (this.job.detectAnomaly) session.detectAnomaly();
      const heap = new SteadyHeap();
      while (session.phase !== 'done') {
        const event = await session.next();
        heap.step();
        await this.report(event);
        if (await this.isStopped()) return await this.stop();
      }
      return await this.finish();
    } catch (error) {
      if (error instanceof NonFiniteError) {
        throw new UserError(`${error.message}. Training stopped; ${this.kept()}`, 1, { cause: error });
      }
      if (isDeviceFault(error, this.job.backend)) {
        const onward = this.saved ? `; go on with: blt train --resume ${this.job.folder.path}` : '';
        throw new UserError(`${error.message}. Training stopped; ${this.kept()}${onward}`, 1, { cause: error });
      }
      throw error;
    } finally {
      this.interrupt.dispose();
      this.metrics?.close();
      this.events?.close();
    }
  }

  /** Signals and timers are only seen between two pieces of work. */
  private async isStopped(): Promise<boolean> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.interrupt.stop !== null;
  }

  /** What a run that cannot go on leaves. */
  private kept(): string {
    return this.saved
      ? `the last good checkpoint ${join(this.job.folder.path, this.saved)} is whole`
      : 'nothing had been saved yet';
  }

  private async startOrResume(): Promise<void> {
    const { folder, record, corpus, backend } = this.job;
    const latest = await folder.latestState((message) => this.warn(message), record.plan);
    // From the model's phase on, the saved state holds everything.
    const early = latest === null || latest.state.json.loop === null || latest.state.json.phase === 'entropy model';
    this.session = new Session(record.plan, corpus, backend, early ? await this.job.warmStart?.() : {});
    if (latest) {
      try {
        this.session.restore(latest.state);
      } catch (error) {
        // Whole files that fit each other but not this run: somebody has mixed two.
        const why = error instanceof Error ? error.message : String(error);
        throw new UserError(`cannot go on from ${join(folder.path, latest.name)}: ${why}`, 1, { cause: error });
      }
      this.saved = latest.name;
    }
    const lost = latest ? 0 : (readMetrics(join(folder.path, 'metrics.jsonl')).at(-1)?.step ?? 0);
    if (lost > 0) this.warn(`nothing of the ${lost} steps done before was saved: the run begins anew`);
    this.openMetrics(latest?.state.json.evaluatedAt ?? -1);
    if (!latest) return;
    const past = readMetrics(join(folder.path, 'metrics.jsonl'));
    this.secondsBefore = past.at(-1)?.seconds ?? 0;
    for (const record of past) if (typeof record.patchSizeMean === 'number') this.patchBytes = record.patchSizeMean;
    const path = join(folder.path, latest.name);
    this.out.say(`resumed        ${path} (${this.session.phase})`, {
      event: 'resumed',
      folder: path,
      phase: this.session.phase,
      step: this.session.step,
    });
  }

  /** Opens what is appended to, without the lines of steps that are to be done again. */
  private openMetrics(evaluatedAt: number): void {
    const { folder, record } = this.job;
    const step = this.session.modelStep;
    this.metrics = new MetricsFile(join(folder.path, 'metrics.jsonl'), {
      resumeStep: step,
      resumeEvaluated: evaluatedAt === step,
    });
    if (record.care.tensorboard) this.events = new EventFile(folder.path, step);
    this.samples = new SamplesFile(join(folder.path, 'samples.jsonl'), step);
  }

  private get seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  private warn(message: string): void {
    this.out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  }

  private async report(event: SessionEvent): Promise<void> {
    // The last step stays, progress does not.
    if (event.kind === 'milestone') this.out.finish();
    if (event.kind !== 'milestone' && !(event.kind === 'progress' && event.work === 'evaluation')) this.unsaved = true;
    switch (event.kind) {
      case 'step':
        return this.afterStep(event);
      case 'milestone':
        return this.save(false);
      case 'progress':
        return this.showProgress(event.work, event.progress);
      case 'entropy model': {
        const { evaluation } = event;
        this.out.drop();
        const { train, heldOut } = this.job.corpus;
        const bytes = humanBytes([...train, ...heldOut].reduce((n, ids) => n + ids.length, 0));
        this.out.say(
          evaluation
            ? `entropy model  ${evaluation.bitsPerByte.toFixed(2)} held-out bits per byte; scoring ${bytes} ...`
            : `entropy model  trained; scoring ${bytes} ...`,
          { event: 'entropy_model', heldOutBitsPerByte: evaluation?.bitsPerByte ?? null },
        );
        return this.resetSpeed();
      }
      case 'patched': {
        this.out.drop();
        this.patchBytes = event.meanPatchBytes;
        const threshold = event.threshold === null ? '' : `, threshold ${event.threshold.toFixed(4)} nats`;
        this.out.say(
          `patches        ${event.patches}, ${event.meanPatchBytes.toFixed(2)} bytes on average${threshold}`,
          { event: 'patched', patches: event.patches, patchSizeMean: event.meanPatchBytes, threshold: event.threshold },
        );
        return this.resetSpeed();
      }
      case 'evaluation':
        return this.afterEvaluation(event);
      case 'done': {
        this.out.finish();
        const { best } = this.session;
        const { patience } = this.job.record.plan;
        if (event.reason === 'patience') {
          this.out.say(
            `stopped early: held-out text got worse ${patience} times in a row; ${stepName(best!.step)} is kept`,
            { event: 'early_stop', reason: 'patience', best: best!.step },
          );
        } else if (event.reason === 'asked') {
          const { minutes } = this.job.record.care;
          const { modelStep } = this.session;
          const { path } = this.job.folder;
          const model = best ? `the best step so far, ${stepName(best.step)}, is measured` : 'it is measured';
          this.out.say(
            `time is up: ${minutes} minutes, ${stepName(modelStep)} is saved and ${model}; go on: ${this.onward(`--minutes ${minutes}`)}`,
            { event: 'early_stop', reason: 'minutes', step: modelStep, folder: path },
          );
        }
      }
    }
  }

  /** How far scoring or an evaluation has come; the end of it is told by its result. */
  private showProgress(work: 'scoring' | 'evaluation', { done, total }: Progress): void {
    if (done >= total) return;
    if (this.work.name !== work || done < this.work.done) this.work = { name: work, since: performance.now(), done };
    const elapsed = performance.now() - this.work.since;
    if (elapsed < SHORT_MS) return;
    const perMs = (done - this.work.done) / elapsed;
    const eta = perMs > 0 ? `  eta ${humanDuration((total - done) / perMs / 1000)}` : '';
    const name = work === 'scoring' ? 'scoring' : 'held-out';
    this.out.status(`${name.padEnd(14)} ${humanBytes(done)} of ${humanBytes(total)}${eta}`, {
      event: 'progress',
      work,
      done,
      total,
    });
  }

  /** The command that goes on with this run. */
  private onward(flags = ''): string {
    const { folder, record } = this.job;
    const command = `blt train --resume ${folder.path}${flags === '' ? '' : ` ${flags}`}`;
    const stdin = record.data.includes('-') || record.heldOut?.includes('-');
    return stdin ? `${command} < FILE, with the bytes that were given on standard input` : command;
  }

  private get position(): Position {
    const { phase, step, steps } = this.session;
    return { phase, step, steps };
  }

  /** Keeps the run within its time: more or fewer steps where they follow from it, else a stop where it is. */
  private keepTime(): void {
    const { budget } = this.job;
    const end = budget.newEnd(this.position);
    if (end !== null) this.session.endAt(end);
    if (budget.isUp) this.session.end();
  }

  private async afterStep({ phase, report }: SessionEvent & { kind: 'step' }): Promise<void> {
    const { session, job } = this;
    const { care } = job.record;
    if (report.skipped) return this.afterSpike(phase, report.step, report.lossNats);
    this.measureSpeed(phase, report.bytes);
    this.keepTime();
    const { steps } = session;
    const { perSecond } = this.speed;
    const bpb = report.bitsPerByte;
    const left = job.budget.secondsLeft(this.position);
    if (phase === 'model') {
      const figures = {
        step: report.step,
        bytes: session.bytesSeen,
        targets: report.targets,
        lossNats: report.lossNats,
        bitsPerByte: bpb,
        patchSizeMean: this.patchBytes ?? null,
        bytesPerSecond: Math.round(perSecond),
        gradNorm: report.gradNorm,
        learningRate: report.lr,
        seconds: Number(this.seconds.toFixed(1)),
      };
      const status = formatStatus({
        step: report.step,
        steps,
        lossNats: report.lossNats,
        bitsPerByte: bpb ?? undefined,
        heldOutBitsPerByte: this.heldOutBpb,
        patchSizeMean: this.patchBytes,
        bytesPerSecond: perSecond,
        gradNorm: report.gradNorm,
        etaSeconds: left,
      });
      this.out.status(status, { event: 'step', phase, steps, etaSeconds: left, ...figures });
      this.metrics!.append(figures);
      this.events?.scalars(report.step, {
        'training/loss_nats': report.lossNats,
        'training/bits_per_byte': bpb,
        'training/gradient_norm': report.gradNorm,
        'training/learning_rate': report.lr,
        'speed/bytes_per_second': perSecond,
      });
    } else {
      this.out.status(
        `entropy model  step ${report.step}/${steps}  ${bpb?.toFixed(2) ?? '-'} bpb  ${humanBytes(perSecond)}/s  eta ${humanDuration(left)}`,
        { event: 'step', phase, step: report.step, steps, bitsPerByte: bpb, etaSeconds: left },
      );
    }
    // An evaluation saves anyway.
    if (!session.evaluationDue) {
      const due = care.saveEvery > 0 && report.step % care.saveEvery === 0;
      if (due || performance.now() - this.savedAt > 1000 * LONGEST_UNSAVED_SECONDS) await this.save(false);
    }
    if (phase === 'model' && care.sampleEvery > 0 && report.step % care.sampleEvery === 0 && report.step < steps) {
      this.out.finish();
      await this.sample(session.checkpoint(), report.step);
    }
  }

  /** A batch was left out because its loss stood out; with --on-spike rewind the weights go back as well. */
  private async afterSpike(phase: 'entropy model' | 'model', step: number, lossNats: number): Promise<void> {
    const { folder, record } = this.job;
    const figure = Number.isFinite(lossNats) ? `${lossNats.toFixed(3)} nats` : 'not a number';
    let text = `spike          step ${step}: the loss is ${figure}; this batch is left out`;
    let back: string | null = null;
    const { spike } = record.plan.model.loop;
    if (phase === 'model' && spike?.action === 'rewind' && this.rewinds < MOST_REWINDS) {
      const latest = await folder.latestState((message) => this.warn(message));
      if (latest?.state.json.phase === 'model') {
        this.session.rewind(latest.state);
        this.rewinds++;
        this.metrics!.close();
        this.events?.close();
        this.openMetrics(latest.state.json.evaluatedAt);
        back = latest.name;
        text += `, and the weights go back to ${back}`;
      }
    }
    this.out.finish();
    this.out.say(text, { event: 'spike', step, lossNats, rewoundTo: back });
  }

  private async afterEvaluation({
    step,
    evaluation,
    best,
    stale,
  }: SessionEvent & { kind: 'evaluation' }): Promise<void> {
    this.heldOutBpb = evaluation.bitsPerByte;
    this.metrics!.append({
      step,
      bytes: this.session.bytesSeen,
      heldOutBitsPerByte: evaluation.bitsPerByte,
      seconds: Number(this.seconds.toFixed(1)),
    });
    this.events?.scalars(step, { 'held_out/bits_per_byte': evaluation.bitsPerByte });
    await this.saveVerdict(step, best);
    this.out.drop();
    const verdict = best
      ? `best so far, saved ${stepName(step)}`
      : `worse than step ${this.session.best!.step} (${stale} in a row)`;
    this.out.say(
      `held-out       ${evaluation.bitsPerByte.toFixed(3)} bpb (quick) after ${humanBytes(this.session.bytesSeen)}: ${verdict}`,
      { event: 'evaluation', step, heldOutBitsPerByte: evaluation.bitsPerByte, best, stale, saved: this.saved },
    );
    this.resetSpeed();
  }

  private measureSpeed(phase: 'entropy model' | 'model', bytes: number): void {
    const now = performance.now();
    const seconds = (now - this.speed.at) / 1000;
    this.job.budget.took(phase, seconds);
    const { perSecond } = this.speed;
    this.speed = { at: now, perSecond: perSecond === 0 ? bytes / seconds : 0.9 * perSecond + (0.1 * bytes) / seconds };
  }

  private resetSpeed(): void {
    this.speed = { at: performance.now(), perSecond: 0 };
  }

  /** Saves as the model's step: 0 while the entropy model is trained. */
  private async save(best: boolean): Promise<void> {
    const { session } = this;
    const step = session.modelStep;
    const { care, plan } = this.job.record;
    const { keepLast } = care;
    this.metrics!.sync();
    await this.job.folder.save(step, session.checkpoint(), session.openState(), { best, keepLast, plan });
    this.hasSaved(step);
  }

  /** Saves what an evaluation said of the step that was saved before it. */
  private async saveVerdict(step: number, best: boolean): Promise<void> {
    if (this.saved !== stepName(step)) return this.save(best);
    const { care, plan } = this.job.record;
    const { keepLast } = care;
    this.metrics!.sync();
    try {
      await this.job.folder.saveVerdict(step, this.session.openState(), { best, keepLast, plan });
    } catch (error) {
      // A file system without hard links: the weights are written once more.
      if (!(error instanceof UserError)) throw error;
      return this.save(best);
    }
    this.hasSaved(step);
  }

  private hasSaved(step: number): void {
    this.saved = stepName(step);
    this.savedAt = performance.now();
    this.unsaved = false;
    // A save is no part of a step.
    this.speed.at = this.savedAt;
  }

  private async stop(): Promise<number> {
    const { why, signal, exitCode } = this.interrupt.stop!;
    const { path } = this.job.folder;
    if (this.session.phase === 'model' && !this.session.evaluationDue) this.out.finish();
    else this.out.drop();
    if (this.unsaved || this.saved === null) await this.save(false);
    const saved = join(path, this.saved!);
    const text = `${why}; saved ${saved}. Go on with:\n  ${this.onward()}`;
    // Output that is broken takes no line any more.
    if (signal === null) complain(text);
    else this.out.say(text, { event: 'stopped', signal, saved });
    return exitCode;
  }

  /** Loads the best step, measures it on all held-out bytes, samples, writes the report. */
  private async finish(): Promise<number> {
    const { out, session, job } = this;
    const { folder } = job;
    const whole = session.step >= session.steps;
    if (this.unsaved || this.saved === null) await this.save(session.best === null && whole);
    const { checkpoint, folder: bestFolder } = await loadModel(folder.path, job.backend);
    let full: Evaluation | null = null;
    const bestStep = session.best?.step ?? session.modelStep;
    const measuring = compressorFigures(lastBytes(job.train, MOST_CONTEXT_BYTES), concatenated(job.heldOut), {
      seconds: job.compressorSeconds,
    });
    // Its failure is met where it is awaited.
    measuring.catch(() => {});
    const measuredBytes = totalBytes(job.heldOut);
    const all =
      measuredBytes < job.heldOutBytes
        ? `${humanBytes(measuredBytes)} of ${humanBytes(job.heldOutBytes)} held-out bytes`
        : `all ${humanBytes(measuredBytes)} held out`;
    if (session.heldOutBytes > 0) {
      out.say(`measuring the best step on ${all} ...`, { event: 'measuring' });
      const evaluating = session.evaluatingFully(checkpoint.params);
      for (;;) {
        const next = await evaluating.next();
        if (next.done) {
          full = next.value;
          break;
        }
        this.showProgress('evaluation', next.value);
        if (await this.isStopped()) return await this.stop();
      }
      out.drop();
      await writeFullEvaluation(folder.path, bestStep, full);
    }
    const measures = await this.unlessStopped(measuring);
    if (measures === null) return await this.stop();
    await this.sample(checkpoint, bestStep);
    const report = await writeReport({
      folder: folder.path,
      record: job.record,
      session,
      checkpoint,
      data: job.title,
      train: job.train,
      heldOut: job.heldOut,
      backend: job.why,
      seconds: this.seconds,
      full,
      compressors: measures,
      samples: this.samples.samples,
    });
    const model = relative('.', bestFolder) || bestFolder;
    const lines: string[] = [];
    if (full) {
      const others = measures.map((y) => `${y.name} ${y.bitsPerByte.toFixed(2)}`).join(', ');
      lines.push(`held-out       ${plusMinus(full, 3)} bits per byte on ${all} (full; ${others})`);
      if (full.bitsPerByte >= CHANCE) {
        lines.push(
          `               ${CHANCE} bits per byte is what guessing costs: the time was too short to learn anything, or the bytes are random`,
        );
      }
    }
    lines.push(`trained for    ${humanDuration(this.seconds)}`);
    lines.push(`model          ${model}`);
    lines.push(`report         ${relative('.', report) || report}`);
    lines.push(`try            blt generate --model ${folder.path} --prompt "..."`);
    out.say(lines.join('\n'), {
      event: 'done',
      step: session.modelStep,
      best: session.best,
      heldOutBitsPerByte: full?.bitsPerByte ?? null,
      standardError: full?.standardError ?? null,
      seconds: this.seconds,
      model: bestFolder,
      report,
    });
    return 0;
  }

  /** What `work` gives, or null if the run is stopped before. */
  private async unlessStopped<T>(work: Promise<T>): Promise<T | null> {
    let result: { readonly value: T } | null = null;
    const done = work.then((value) => {
      result = { value };
    });
    while (result === null) {
      await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 100))]);
      if (result === null && this.interrupt.stop !== null) return null;
    }
    return (result as { readonly value: T }).value;
  }

  private async sample(checkpoint: Checkpoint, step: number): Promise<void> {
    const { record, backend } = this.job;
    const prompt = record.data.length === 0 ? 'The whale ' : '';
    const options = { maxBytes: 160, temperature: 0.7, seed: record.plan.seed };
    const bytes: number[] = [];
    const made = backend.synchronous
      ? generate(checkpoint, prompt, options)
      : generateAsync(checkpoint, prompt, options);
    for await (const byte of made) bytes.push(byte);
    const sample = { step, prompt, text: printable(Uint8Array.from(bytes)) };
    this.samples.add(sample);
    this.out.say(`\nsample\n${prompt}${sample.text}\n`, { event: 'sample', ...sample });
  }
}

/** The device is lost, out of memory, or cannot hold a tensor: no fault of ours, and nothing on disk is touched by it. */
const isDeviceFault = (error: unknown, backend: Backend): error is Error =>
  error instanceof Error && !backend.synchronous && ['DeviceError', 'RangeError'].includes(error.name);
