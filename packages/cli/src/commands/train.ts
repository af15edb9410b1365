import { join, relative } from 'node:path';
import {
  bitsPerByte,
  type Checkpoint,
  type Corpus,
  encode,
  generate,
  NonFiniteError,
  planRun,
  Session,
  type SessionEvent,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { chooseBackend, measureGflops } from '../backend-choice.ts';
import { printable } from '../byte-labels.ts';
import { loadConfig, overrideConfig } from '../config-file.ts';
import type { FileConfig } from '../config-schema.ts';
import { concatenated, type Document, totalBytes } from '../data/document.ts';
import { loadDocuments } from '../data/sources.ts';
import { dataHash, leakedDocuments, splitHeldOut } from '../data/split.ts';
import { UserError } from '../errors.ts';
import { humanBytes, humanDuration } from '../human-units.ts';
import { MetricsFile, readMetrics } from '../metrics-file.ts';
import { estimateRun, planText } from '../plan-text.ts';
import { StatusLine } from '../progress.ts';
import { freeRunName, loadModel, RunFolder, type RunRecord, stepName } from '../run-folder.ts';
import { runOptions } from '../run-options.ts';
import { writeReport } from '../training-report.ts';
import { VERSION } from '../version.ts';
import { yardsticks } from '../yardstick.ts';

export interface TrainFlags {
  readonly config?: string;
  readonly resume?: string;
  readonly runs: string;
  readonly dryRun?: boolean;
  readonly [flag: string]: unknown;
}

const asList = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

interface Job {
  readonly folder: RunFolder | null;
  readonly path: string;
  readonly record: RunRecord;
  readonly train: Document[];
  readonly heldOut: Document[];
  /** Before the split. */
  readonly documents: number;
  readonly config: FileConfig;
}

const dataTitle = (sources: readonly string[], documents: number): string =>
  sources.length === 0
    ? `Moby Dick, ${documents} chapters`
    : `${sources.join(' ')} (${documents} document${documents === 1 ? '' : 's'})`;

async function loadSplit(
  record: Pick<RunRecord, 'data' | 'heldOut' | 'heldOutFraction' | 'textField'>,
  warn: (message: string) => void,
): Promise<{ train: Document[]; heldOut: Document[]; documents: number }> {
  const options = { textField: record.textField ?? undefined, warn };
  const documents = await loadDocuments(record.data, options);
  const split = record.heldOut
    ? { train: documents, heldOut: await loadDocuments(record.heldOut, options) }
    : splitHeldOut(documents, record.heldOutFraction);
  const leaked = leakedDocuments(split);
  if (leaked.length > 0) {
    warn(
      `${leaked.length} held-out document${leaked.length === 1 ? ' is' : 's are'} in the training part too (${leaked[0]}): held-out figures will look too good`,
    );
  }
  return { ...split, documents: documents.length };
}

/** A new run from config file and flags. */
async function newJob(flags: TrainFlags, warn: (message: string) => void): Promise<Job> {
  const fileConfig = flags.config ? await loadConfig(flags.config) : {};
  const config = overrideConfig(fileConfig, flags);
  const source = {
    data: asList(config.data?.data),
    heldOut: config.data?.held_out === undefined ? null : asList(config.data.held_out),
    heldOutFraction: config.data?.held_out_fraction ?? 0.1,
    textField: config.data?.text_field ?? null,
  };
  const split = await loadSplit(source, warn);
  const plan = planRun(runOptions(config), totalBytes(split.train));
  const name = config.run ?? freeRunName(flags.runs, config.size ?? 'nano');
  const record: RunRecord = {
    format: 1,
    version: VERSION,
    command: `blt ${process.argv.slice(2).join(' ')}`,
    startedAt: new Date().toISOString(),
    ...source,
    dataHash: dataHash([...split.train, ...split.heldOut]),
    plan,
  };
  const path = join(flags.runs, name);
  return { folder: flags.dryRun ? null : await RunFolder.create(path, record), path, record, config, ...split };
}

/** A run that was stopped, with the data it had. */
async function oldJob(flags: TrainFlags, warn: (message: string) => void): Promise<Job> {
  const folder = new RunFolder(flags.resume!);
  const record = await folder.record();
  const split = await loadSplit(record, warn);
  const hash = dataHash([...split.train, ...split.heldOut]);
  if (hash !== record.dataHash) {
    throw new UserError(
      `the data is not that of ${flags.resume}: its SHA-256 begins ${hash.slice(0, 12)}, the run's ${record.dataHash.slice(0, 12)}; restore the files, or start a new run`,
    );
  }
  const config = overrideConfig({}, { backend: flags.backend, threads: flags.threads });
  return { folder, path: flags.resume!, record, config, ...split };
}

const toIds = (documents: readonly Document[]): Int32Array[] =>
  documents.filter((d) => d.bytes.length > 0).map((d) => encode(d.bytes, { bos: true, eos: true }));

/** Ends training after the step in progress; the second signal ends the process at once. */
class Interrupt {
  signal: 'SIGINT' | 'SIGTERM' | null = null;
  private readonly handler = (signal: 'SIGINT' | 'SIGTERM') => {
    if (this.signal) process.exit(signal === 'SIGINT' ? 130 : 143);
    this.signal = signal;
  };
  constructor() {
    process.on('SIGINT', this.handler).on('SIGTERM', this.handler);
  }
  dispose(): void {
    process.off('SIGINT', this.handler).off('SIGTERM', this.handler);
  }
}

/** `blt train`. @returns the exit code */
export async function train(flags: TrainFlags): Promise<number> {
  const out = new StatusLine(process.stdout);
  const warn = (message: string) => out.log(`warning: ${message}`);
  const job = flags.resume ? await oldJob(flags, warn) : await newJob(flags, warn);
  const { plan } = job.record;
  const corpus: Corpus = { train: toIds(job.train), heldOut: toIds(job.heldOut) };
  const trainBytes = totalBytes(job.train);
  checkSize(trainBytes, totalBytes(job.heldOut), job.record);
  const { backend, why } = chooseBackend(job.config);
  out.log(
    planText(plan, {
      data: dataTitle(job.record.data, job.documents),
      trainBytes,
      heldOutBytes: totalBytes(job.heldOut),
      backend: why,
      estimate: estimateRun(plan, trainBytes, measureGflops(backend)),
      folder: job.path,
    }),
  );
  if (!job.folder) return 0;
  const run = new TrainingRun(job, job.folder, corpus, backend, why, out);
  return run.train();
}

function checkSize(trainBytes: number, heldOutBytes: number, record: RunRecord): void {
  const needed = (record.plan.model.maxRowBytes ?? 2) / 2;
  if (trainBytes < needed) {
    throw new UserError(
      `the training part has ${trainBytes} bytes, less than one row of ${needed}; give more text, or --row-bytes ${Math.max(2, Math.floor(trainBytes / 4))}`,
      2,
    );
  }
  if (heldOutBytes === 0 && record.heldOutFraction > 0) {
    throw new UserError('nothing is left to hold out; give more text, or --held-out-fraction 0', 2);
  }
}

class TrainingRun {
  private readonly session: Session;
  private readonly metrics: MetricsFile;
  private readonly started = performance.now();
  private readonly samples: { step: number; prompt: string; text: string }[] = [];
  private saved: string | null = null;
  private heldOutBpb: number | undefined;
  private patchBytes: number | undefined;
  private secondsBefore = 0;
  private speed = { at: performance.now(), bytes: 0, perSecond: 0 };
  private readonly job: Job;
  private readonly folder: RunFolder;
  private readonly corpus: Corpus;
  private readonly why: string;
  private readonly out: StatusLine;
  private readonly backend: Backend;
  private yardsticks: ReturnType<typeof yardsticks> | null = null;

  constructor(job: Job, folder: RunFolder, corpus: Corpus, backend: Backend, why: string, out: StatusLine) {
    this.job = job;
    this.folder = folder;
    this.corpus = corpus;
    this.backend = backend;
    this.why = why;
    this.out = out;
    this.session = new Session(job.record.plan, corpus, backend);
    this.metrics = new MetricsFile(join(folder.path, 'metrics.jsonl'), {});
  }

  async train(): Promise<number> {
    await this.resumeIfSaved();
    const interrupt = new Interrupt();
    try {
      for (;;) {
        const event = await this.session.next();
        await this.report(event);
        if (event.kind === 'done') break;
        if (interrupt.signal) return await this.stop(interrupt.signal);
        // Signals and timers are only seen between steps.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      return await this.finish();
    } catch (error) {
      if (error instanceof NonFiniteError) {
        const kept = this.saved ? `${join(this.folder.path, this.saved)} is whole` : 'nothing had been saved yet';
        throw new UserError(`${error.message}. Training stopped; ${kept}`, 1, { cause: error });
      }
      throw error;
    } finally {
      interrupt.dispose();
      this.metrics.close();
    }
  }

  private async resumeIfSaved(): Promise<void> {
    const latest = await this.folder.latestState((message) => this.out.log(`warning: ${message}`));
    if (!latest) return;
    this.session.restore(latest.state);
    this.saved = latest.name;
    const past = readMetrics(this.metrics.path);
    this.secondsBefore = past.at(-1)?.seconds ?? 0;
    for (const record of past) if (typeof record.patchSizeMean === 'number') this.patchBytes = record.patchSizeMean;
    this.out.log(`resumed      ${join(this.folder.path, latest.name)} (${this.session.phase})`);
  }

  private get seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  private async report(event: SessionEvent): Promise<void> {
    const { out } = this;
    switch (event.kind) {
      case 'step': {
        const { report } = event;
        const isModel = event.phase === 'model';
        const loop = isModel ? this.job.record.plan.model.loop : this.job.record.plan.entropyModel!.loop;
        this.measureSpeed(report.bytes);
        const bpb = bitsPerByte(report.lossNats, 1);
        const left =
          this.speed.perSecond > 0 ? ((loop.steps - report.step) * report.bytes) / this.speed.perSecond : undefined;
        if (isModel) {
          out.update({
            step: report.step,
            steps: loop.steps,
            lossNats: report.lossNats,
            bitsPerByte: bpb,
            heldOutBitsPerByte: this.heldOutBpb,
            patchSizeMean: this.patchBytes,
            bytesPerSecond: this.speed.perSecond,
            gradNorm: report.gradNorm,
            etaSeconds: left,
          });
          this.metrics.append({
            step: report.step,
            bytes: this.session.bytesSeen,
            lossNats: report.lossNats,
            bitsPerByte: bpb,
            patchSizeMean: this.patchBytes ?? null,
            bytesPerSecond: Math.round(this.speed.perSecond),
            gradNorm: report.gradNorm,
            learningRate: report.lr,
            seconds: Number(this.seconds.toFixed(1)),
          });
        } else {
          const eta = left === undefined ? '' : `  eta ${humanDuration(left)}`;
          out.show(
            `entropy model  step ${report.step}/${loop.steps}  ${bpb.toFixed(2)} bpb  ${humanBytes(this.speed.perSecond)}/s${eta}`,
          );
        }
        return;
      }
      case 'entropy model':
        out.finish();
        out.log(
          event.evaluation
            ? `entropy model  ${event.evaluation.bitsPerByte.toFixed(2)} held-out bits per byte; scoring ${humanBytes(totalBytes(this.job.train))} ...`
            : 'entropy model  trained; scoring ...',
        );
        this.resetSpeed();
        return;
      case 'patched':
        this.patchBytes = event.meanPatchBytes;
        out.log(
          `patches        ${event.patches}, ${event.meanPatchBytes.toFixed(2)} bytes on average${event.threshold === null ? '' : `, threshold ${event.threshold.toFixed(4)} nats`}`,
        );
        this.resetSpeed();
        return;
      case 'evaluation': {
        const { step, evaluation, best } = event;
        this.heldOutBpb = evaluation.bitsPerByte;
        this.metrics.append({
          step,
          bytes: this.session.bytesSeen,
          heldOutBitsPerByte: evaluation.bitsPerByte,
          seconds: Number(this.seconds.toFixed(1)),
        });
        await this.save(step, best);
        out.finish();
        const verdict = best
          ? `best so far, saved ${stepName(step)}`
          : `worse than step ${this.session.best!.step} (${event.stale} in a row)`;
        out.log(
          `held-out       ${evaluation.bitsPerByte.toFixed(3)} bpb after ${humanBytes(this.session.bytesSeen)}: ${verdict}`,
        );
        this.resetSpeed();
        return;
      }
      case 'done':
        out.finish();
        if (event.reason === 'patience') {
          out.log(
            `stopped early: held-out text got worse ${this.job.record.plan.patience} times in a row; ${stepName(this.session.best!.step)} is kept`,
          );
        }
        return;
    }
  }

  private measureSpeed(bytes: number): void {
    const now = performance.now();
    const seconds = (now - this.speed.at) / 1000;
    const current = bytes / seconds;
    const { perSecond } = this.speed;
    this.speed = { at: now, bytes, perSecond: perSecond === 0 ? current : 0.9 * perSecond + 0.1 * current };
  }

  private resetSpeed(): void {
    this.speed = { ...this.speed, at: performance.now(), perSecond: 0 };
  }

  private async save(step: number, best: boolean): Promise<void> {
    this.metrics.sync();
    await this.folder.save(step, this.session.checkpoint(), await this.session.state(), best);
    this.saved = stepName(step);
  }

  private async stop(signal: 'SIGINT' | 'SIGTERM'): Promise<number> {
    this.out.finish();
    await this.save(this.session.step, false);
    this.out.log(
      `stopped by ${signal}; saved ${join(this.folder.path, this.saved!)}. Go on with:\n  blt train --resume ${this.folder.path}`,
    );
    return signal === 'SIGINT' ? 130 : 143;
  }

  /** Loads the best step, measures it on all held-out bytes, samples, writes the report. */
  private async finish(): Promise<number> {
    const { out, session, folder } = this;
    if (this.session.best === null) await this.save(session.step, true);
    const { checkpoint, folder: bestFolder } = await loadModel(folder.path, this.backend);
    let finalBpb: number | null = null;
    this.yardsticks = yardsticks(concatenated(this.job.train), concatenated(this.job.heldOut));
    if (this.corpus.heldOut.length > 0) {
      out.log('measuring the best step on all held-out bytes ...');
      finalBpb = (await session.evaluateFully(checkpoint.params)).bitsPerByte;
    }
    const measures = await this.yardsticks;
    this.sample(checkpoint);
    const report = await writeReport({
      folder: folder.path,
      record: this.job.record,
      session,
      checkpoint,
      data: dataTitle(this.job.record.data, this.job.documents),
      train: this.job.train,
      heldOut: this.job.heldOut,
      backend: this.why,
      seconds: this.seconds,
      heldOutBpb: finalBpb,
      yardsticks: measures,
      samples: this.samples,
    });
    const last = this.samples.at(-1);
    if (last) out.log(`\nsample\n${last.prompt}${last.text}\n`);
    if (finalBpb !== null) {
      out.log(
        `held-out       ${finalBpb.toFixed(3)} bits per byte on all ${humanBytes(totalBytes(this.job.heldOut))} (${measures.map((y) => `${y.name} ${y.bitsPerByte.toFixed(2)}`).join(', ')})`,
      );
    }
    out.log(`trained for    ${humanDuration(this.seconds)}`);
    out.log(`model          ${relative('.', bestFolder) || bestFolder}`);
    out.log(`report         ${relative('.', report) || report}`);
    out.log(`try            blt generate --model ${folder.path} --prompt "..."`);
    return 0;
  }

  private sample(checkpoint: Checkpoint): void {
    const prompt = this.job.record.data.length === 0 ? 'The whale ' : '';
    const bytes = Uint8Array.from(
      generate(checkpoint, prompt, { maxBytes: 160, temperature: 0.7, seed: this.job.record.plan.seed }),
    );
    this.samples.push({ step: this.session.best?.step ?? this.session.step, prompt, text: printable(bytes) });
  }
}
