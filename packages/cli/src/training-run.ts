/** @file Drives a session from start to end: saves, reports, samples, stops when asked to. */
import { join, relative } from 'node:path';
import {
  bitsPerByte,
  type Checkpoint,
  type Corpus,
  type Given,
  generate,
  generateAsync,
  NonFiniteError,
  Session,
  type SessionEvent,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { printable } from './byte-labels.ts';
import { concatenated, type Document, totalBytes } from './data/document.ts';
import { printableMessage, UserError } from './errors.ts';
import { humanBytes, humanDuration } from './human-units.ts';
import { Interrupt, type Stop } from './interrupt.ts';
import { MetricsFile, readMetrics } from './metrics-file.ts';
import { formatStatus } from './progress.ts';
import { loadModel, type RunFolder, type RunRecord, stepName } from './run-folder.ts';
import { SamplesFile } from './samples-file.ts';
import { SteadyHeap } from './steady-heap.ts';
import { EventFile } from './tensorboard.ts';
import { complain } from './terminal.ts';
import type { TrainingOutput } from './training-output.ts';
import { writeReport } from './training-report.ts';
import { yardsticks } from './yardstick.ts';

export interface TrainingJob {
  readonly folder: RunFolder;
  readonly record: RunRecord;
  readonly train: Document[];
  readonly heldOut: Document[];
  /** What the data are, in words. */
  readonly title: string;
  readonly corpus: Corpus;
  /** What the run starts from; asked for only if it is needed. */
  readonly given?: () => Promise<Given>;
  readonly backend: Backend;
  /** Which backend, and why. */
  readonly why: string;
  readonly detectAnomaly: boolean;
}

/** However rare the evaluations are, no more work than this is ever lost. */
const LONGEST_UNSAVED_SECONDS = 600;
/** Going back more often than this is no training. */
const MOST_REWINDS = 20;

export class TrainingRun {
  private readonly job: TrainingJob;
  private readonly out: TrainingOutput;
  private session!: Session;
  private readonly started = performance.now();
  private metrics!: MetricsFile;
  private events: EventFile | null = null;
  private samples!: SamplesFile;
  private saved: string | null = null;
  private savedAt = performance.now();
  private rewinds = 0;
  private heldOutBpb: number | undefined;
  private patchBytes: number | undefined;
  private secondsBefore = 0;
  private speed = { at: performance.now(), perSecond: 0 };

  constructor(job: TrainingJob, out: TrainingOutput) {
    this.job = job;
    this.out = out;
  }

  /** @returns the exit code: 0, or 129, 130, 143 when stopped by a signal, 141 when nobody reads the output */
  async train(): Promise<number> {
    await this.startOrResume();
    const { session } = this;
    if (this.job.detectAnomaly) session.detectAnomaly();
    const interrupt = new Interrupt();
    const heap = new SteadyHeap();
    try {
      for (;;) {
        const event = await session.next();
        heap.step();
        await this.report(event);
        if (event.kind === 'done') break;
        if (interrupt.stop) return await this.stop(interrupt.stop);
        // Signals and timers are only seen between steps.
        await new Promise<void>((resolve) => setImmediate(resolve));
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
      interrupt.dispose();
      this.metrics.close();
      this.events?.close();
    }
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
    this.session = new Session(record.plan, corpus, backend, early ? await this.job.given?.() : {});
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
    this.openMetrics(latest?.state.json.evaluatedAt ?? -1);
    if (!latest) return;
    const past = readMetrics(this.metrics.path);
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
    switch (event.kind) {
      case 'step':
        return this.afterStep(event);
      case 'entropy model': {
        const { evaluation } = event;
        this.out.finish();
        const bytes = humanBytes(totalBytes(this.job.train));
        this.out.say(
          evaluation
            ? `entropy model  ${evaluation.bitsPerByte.toFixed(2)} held-out bits per byte; scoring ${bytes} ...`
            : `entropy model  trained; scoring ${bytes} ...`,
          { event: 'entropy_model', heldOutBitsPerByte: evaluation?.bitsPerByte ?? null },
        );
        return this.resetSpeed();
      }
      case 'patched': {
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
          this.out.say(
            `time is up: ${minutes} minutes; more: blt train --resume ${this.job.folder.path} --minutes ${minutes}`,
            { event: 'early_stop', reason: 'minutes', step: this.session.modelStep },
          );
        }
      }
    }
  }

  private async afterStep({ phase, report }: SessionEvent & { kind: 'step' }): Promise<void> {
    const { session, job } = this;
    const { plan, care } = job.record;
    if (report.skipped) return this.afterSpike(phase, report.step, report.lossNats);
    const loop = phase === 'model' ? plan.model.loop : plan.entropyModel!.loop;
    this.measureSpeed(report.bytes);
    const { perSecond } = this.speed;
    const bpb = bitsPerByte(report.lossNats, 1);
    let left = perSecond > 0 ? ((loop.steps - report.step) * report.bytes) / perSecond : undefined;
    const budget = care.minutes === null ? null : care.minutes * 60 - (performance.now() - this.started) / 1000;
    if (left !== undefined && budget !== null) left = Math.min(left, Math.max(0, budget));
    if (phase === 'model') {
      const figures = {
        step: report.step,
        bytes: session.bytesSeen,
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
        steps: loop.steps,
        lossNats: report.lossNats,
        bitsPerByte: bpb,
        heldOutBitsPerByte: this.heldOutBpb,
        patchSizeMean: this.patchBytes,
        bytesPerSecond: perSecond,
        gradNorm: report.gradNorm,
        etaSeconds: left,
      });
      this.out.status(status, { event: 'step', phase, steps: loop.steps, etaSeconds: left ?? null, ...figures });
      this.metrics.append(figures);
      this.events?.scalars(report.step, {
        'training/loss_nats': report.lossNats,
        'training/bits_per_byte': bpb,
        'training/gradient_norm': report.gradNorm,
        'training/learning_rate': report.lr,
        'speed/bytes_per_second': perSecond,
      });
    } else {
      const eta = left === undefined ? '' : `  eta ${humanDuration(left)}`;
      this.out.status(
        `entropy model  step ${report.step}/${loop.steps}  ${bpb.toFixed(2)} bpb  ${humanBytes(perSecond)}/s${eta}`,
        { event: 'step', phase, step: report.step, steps: loop.steps, bitsPerByte: bpb, etaSeconds: left ?? null },
      );
    }
    if (budget !== null && budget <= 0) session.end();
    // An evaluation saves anyway.
    if (!session.evaluationDue) {
      const due = care.saveEvery > 0 && report.step % care.saveEvery === 0;
      if (due || performance.now() - this.savedAt > 1000 * LONGEST_UNSAVED_SECONDS) await this.save(false);
    }
    if (phase === 'model' && care.sampleEvery > 0 && report.step % care.sampleEvery === 0 && report.step < loop.steps) {
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
        this.metrics.close();
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
    this.metrics.append({
      step,
      bytes: this.session.bytesSeen,
      heldOutBitsPerByte: evaluation.bitsPerByte,
      seconds: Number(this.seconds.toFixed(1)),
    });
    this.events?.scalars(step, { 'held_out/bits_per_byte': evaluation.bitsPerByte });
    await this.save(best);
    this.out.finish();
    const verdict = best
      ? `best so far, saved ${stepName(step)}`
      : `worse than step ${this.session.best!.step} (${stale} in a row)`;
    this.out.say(
      `held-out       ${evaluation.bitsPerByte.toFixed(3)} bpb after ${humanBytes(this.session.bytesSeen)}: ${verdict}`,
      { event: 'evaluation', step, heldOutBitsPerByte: evaluation.bitsPerByte, best, stale, saved: this.saved },
    );
    this.resetSpeed();
  }

  private measureSpeed(bytes: number): void {
    const now = performance.now();
    const current = bytes / ((now - this.speed.at) / 1000);
    const { perSecond } = this.speed;
    this.speed = { at: now, perSecond: perSecond === 0 ? current : 0.9 * perSecond + 0.1 * current };
  }

  private resetSpeed(): void {
    this.speed = { at: performance.now(), perSecond: 0 };
  }

  /** Saves as the model's step: 0 while the entropy model is trained. */
  private async save(best: boolean): Promise<void> {
    const { session } = this;
    const step = session.modelStep;
    this.metrics.sync();
    await this.job.folder.save(step, session.checkpoint(), session.openState(), {
      best,
      keepLast: this.job.record.care.keepLast,
      plan: this.job.record.plan,
    });
    this.saved = stepName(step);
    this.savedAt = performance.now();
  }

  private async stop({ why, signal, exitCode }: Stop): Promise<number> {
    const { path } = this.job.folder;
    this.out.finish();
    await this.save(false);
    const saved = join(path, this.saved!);
    const text = `${why}; saved ${saved}. Go on with:\n  blt train --resume ${path}`;
    // Output that is broken takes no line any more.
    if (signal === null) complain(text);
    else this.out.say(text, { event: 'stopped', signal, saved });
    return exitCode;
  }

  /** Loads the best step, measures it on all held-out bytes, samples, writes the report. */
  private async finish(): Promise<number> {
    const { out, session, job } = this;
    const { folder } = job;
    if (session.best === null) await this.save(true);
    const { checkpoint, folder: bestFolder } = await loadModel(folder.path, job.backend);
    let finalBpb: number | null = null;
    const measuring = yardsticks(concatenated(job.train), concatenated(job.heldOut));
    if (job.corpus.heldOut.length > 0) {
      out.say('measuring the best step on all held-out bytes ...', { event: 'measuring' });
      finalBpb = (await session.evaluateFully(checkpoint.params)).bitsPerByte;
    }
    const measures = await measuring;
    await this.sample(checkpoint, session.best?.step ?? session.modelStep);
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
      heldOutBpb: finalBpb,
      yardsticks: measures,
      samples: this.samples.samples,
    });
    const model = relative('.', bestFolder) || bestFolder;
    const lines: string[] = [];
    if (finalBpb !== null) {
      const others = measures.map((y) => `${y.name} ${y.bitsPerByte.toFixed(2)}`).join(', ');
      lines.push(
        `held-out       ${finalBpb.toFixed(3)} bits per byte on all ${humanBytes(totalBytes(job.heldOut))} (${others})`,
      );
    }
    lines.push(`trained for    ${humanDuration(this.seconds)}`);
    lines.push(`model          ${model}`);
    lines.push(`report         ${relative('.', report) || report}`);
    lines.push(`try            blt generate --model ${folder.path} --prompt "..."`);
    out.say(lines.join('\n'), {
      event: 'done',
      step: session.modelStep,
      best: session.best,
      heldOutBitsPerByte: finalBpb,
      seconds: this.seconds,
      model: bestFolder,
      report,
    });
    return 0;
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
