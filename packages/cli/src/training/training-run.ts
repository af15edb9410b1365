/**
 * @file Drives a session from start to end. `train` is the whole of it: start or resume, one event after the other, a stop where somebody
 * asks for it, the report. The other methods react to the events. Lines on the terminal are in training-log.ts, files that
 * grow in journal.ts, saves in saving.ts, and the end in closing.ts.
 */
import { join } from 'node:path';
import { NonFiniteError, type PassWorkers, Session, type SessionEvent, WorkerError } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { farApart } from '../data/held-out-noise.ts';
import { UserError } from '../terminal/errors.ts';
import { Interrupt } from '../terminal/interrupt.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import { SteadyHeap } from '../threads/steady-heap.ts';
import { closeRun, writeSample } from './closing.ts';
import { bytesPerStep, RunningMean } from './forecast.ts';
import { Journal } from './journal.ts';
import { Pace } from './pace.ts';
import { passWorkers } from './pass-threads.ts';
import { Saving } from './saving.ts';
import type { Position } from './time-budget.ts';
import { resumeCommand, type TrainingJob } from './training-job.ts';
import { TrainingLog } from './training-log.ts';
import { hasRoomBeside, WorkBeside } from './work-beside.ts';

/** Training batches that the first evaluation is compared with. */
const RECENT_STEPS = 8;
/** A run goes back to its last save at most this often, or it would never end. */
const MOST_REWINDS = 20;

type EventOf<Kind extends SessionEvent['kind']> = Extract<SessionEvent, { readonly kind: Kind }>;

/** One start of `blt train`, from the first step here to the report or a stop. */
export class TrainingRun {
  private readonly job: TrainingJob;
  private readonly log: TrainingLog;
  private readonly journal: Journal;
  private readonly interrupt = new Interrupt();
  private readonly pace = new Pace();
  private session!: Session;
  private saving: Saving | undefined;
  private beside: WorkBeside | null = null;
  private workers: PassWorkers | null = null;
  private rewinds = 0;
  private heldOutBitsPerByte: number | undefined;
  private isFirstEvaluation = true;
  /** Bits per byte of the last training batches. */
  private readonly recentBitsPerByte = new RunningMean(RECENT_STEPS);
  private patchBytes: number | undefined;

  constructor(job: TrainingJob, out: TrainingOutput) {
    this.job = job;
    this.log = new TrainingLog(job, out);
    this.journal = new Journal(job.folder.path, job.record.care.tensorboard);
  }

  /** @returns the exit code: 0, or 129, 130, 143 when stopped by a signal, 141 when nobody reads the output */
  async train(): Promise<number> {
    try {
      const saving = await this.startOrResume();
      const { session, job } = this;
      this.workers = passWorkers(job.record.plan, job.backend);
      if (this.workers) session.useWorkers(this.workers);
      const heap = new SteadyHeap();
      while (session.phase !== 'done') {
        if (session.phase === 'model') this.beginBeside();
        const event = await session.next();
        heap.step();
        await this.follow(event, saving);
        if (await this.isStopped()) return await this.stop(saving);
      }
      await saving.saveRest({ best: session.best === null && session.step >= session.steps });
      // What the threads hold is wanted at the end.
      await this.workers?.end();
      const whole = await closeRun({ ...this.parts, session, beside: this.beside, isStopped: () => this.isStopped() });
      return whole ? 0 : await this.stop(saving);
    } catch (error) {
      throw this.explained(error);
    } finally {
      await this.beside?.end();
      await this.workers?.end();
      this.interrupt.dispose();
      this.journal.close();
    }
  }

  /** Memory and compressors begin with the model: scoring gains more from a second thread than its small kernels do. */
  private beginBeside(): void {
    const { job } = this;
    if (this.beside !== null || !hasRoomBeside(job)) return;
    this.beside = new WorkBeside(job);
    this.beside.makeRoom(job);
  }

  private get parts() {
    const { job, journal, log } = this;
    return { job, journal, log };
  }

  /** A session at the place where the run stands. */
  private async startOrResume(): Promise<Saving> {
    const { job, journal } = this;
    const { folder, record, corpus, backend } = job;
    const latest = await folder.latestState((message) => this.log.warning(message), record.plan);
    // From the model's phase on, the saved state holds everything.
    const early = latest === null || latest.state.json.loop === null || latest.state.json.phase === 'entropy model';
    const session = new Session(record.plan, corpus, backend, early ? await job.warmStart?.() : {});
    this.session = session;
    this.saving = new Saving(job, session, journal, latest?.name ?? null);
    if (latest) {
      try {
        session.restore(latest.state);
      } catch (error) {
        // Whole files that fit each other but not this run: somebody has mixed two.
        const why = error instanceof Error ? error.message : String(error);
        throw new UserError(`cannot go on from ${join(folder.path, latest.name)}: ${why}`, 1, { cause: error });
      }
      await this.saving.markRestored();
    }
    const done = journal.past().at(-1)?.step ?? 0;
    if (done > session.modelStep) this.log.stepsLost(done, session.modelStep);
    this.isFirstEvaluation = (latest?.state.json.evaluatedAt ?? -1) === -1;
    journal.open(session.modelStep, latest?.state.json.evaluatedAt ?? -1);
    if (latest) {
      journal.goOn();
      for (const { patchSizeMean } of journal.past())
        if (typeof patchSizeMean === 'number') this.patchBytes = patchSizeMean;
      this.log.resumed(latest.name, session);
    }
    if (job.detectAnomaly) session.detectAnomaly();
    return this.saving;
  }

  /** Logs, saves or counts, as the event asks for. */
  private async follow(event: SessionEvent, saving: Saving): Promise<void> {
    // At a milestone the status line of the last step stays on the terminal. All other events but the progress of an evaluation change
    // what a save would hold.
    if (event.kind === 'milestone') this.log.keepLine();
    else if (event.kind !== 'progress' || event.work !== 'evaluation') saving.unsaved = true;
    switch (event.kind) {
      case 'milestone':
        return saving.isDueAtMilestone() ? this.save(saving) : undefined;
      case 'progress':
        return this.log.progress(event.work, event.progress);
      case 'step':
        return event.report.skipped ? this.afterSpike(event) : this.afterStep(event, saving);
      case 'entropy model':
        this.log.entropyModel(event);
        return this.pace.reset();
      case 'patched':
        this.patchBytes = event.meanPatchBytes;
        this.log.patched(event);
        return this.pace.reset();
      case 'evaluation':
        return this.afterEvaluation(event, saving);
      case 'done':
        return this.log.ended(event, this.session);
    }
  }

  private async afterStep({ phase, report }: EventOf<'step'>, saving: Saving): Promise<void> {
    const { session, job, pace } = this;
    job.budget.took(phase, pace.step(report.bytes));
    this.keepTime();
    const { steps } = session;
    const bytesPerSecond = pace.perSecond;
    const secondsLeft = job.budget.secondsLeft(this.position);
    if (phase === 'model') {
      if (report.bitsPerByte !== null) this.recentBitsPerByte.add(report.bitsPerByte);
      const { patchBytes, heldOutBitsPerByte } = this;
      const figures = this.journal.step(report, session.bytesSeen, patchBytes ?? null, bytesPerSecond);
      this.log.modelStep({ report, figures, steps, bytesPerSecond, secondsLeft, patchBytes, heldOutBitsPerByte });
    } else {
      this.log.entropyStep(report, steps, bytesPerSecond, secondsLeft);
    }
    if (saving.isDue(report.step)) await this.save(saving);
    const { sampleEvery } = job.record.care;
    if (phase === 'model' && sampleEvery > 0 && report.step % sampleEvery === 0 && report.step < steps) {
      this.log.keepLine();
      await writeSample(this.parts, session.checkpoint(), report.step);
    }
  }

  /** A batch was left out because its loss stood out. With --on-spike rewind the weights go back as well. */
  private async afterSpike({ phase, report: { step, lossNats } }: EventOf<'step'>): Promise<void> {
    const { folder, record } = this.job;
    const { spike } = record.plan.model.loop;
    let rewoundTo: string | null = null;
    if (phase === 'model' && spike?.action === 'rewind' && this.rewinds < MOST_REWINDS) {
      const latest = await folder.latestState((message) => this.log.warning(message));
      if (latest?.state.json.phase === 'model') {
        this.session.rewind(latest.state);
        this.rewinds++;
        this.journal.close();
        this.journal.open(this.session.modelStep, latest.state.json.evaluatedAt);
        rewoundTo = latest.name;
      }
    }
    this.log.spike(step, lossNats, rewoundTo);
  }

  private async afterEvaluation(event: EventOf<'evaluation'>, saving: Saving): Promise<void> {
    const { step, best } = event;
    const { bitsPerByte } = event.evaluation;
    this.heldOutBitsPerByte = bitsPerByte;
    this.journal.evaluation(step, this.session.bytesSeen, bitsPerByte);
    await saving.saveVerdict(step, best);
    this.log.evaluation(event, this.session, saving.saved);
    if (this.isFirstEvaluation) this.compareWithTraining(event);
    this.isFirstEvaluation = false;
    this.pace.reset();
  }

  /** Held-out text of another kind than the training part is worth a warning: its figures say little. */
  private compareWithTraining({ evaluation: { bitsPerByte, bytes } }: EventOf<'evaluation'>): void {
    const trained = this.recentBitsPerByte.value;
    if (trained === null) return;
    const trainBytes = RECENT_STEPS * bytesPerStep(this.job.record.plan);
    const apart = farApart(trained, bitsPerByte, { trainBytes, heldOutBytes: bytes });
    if (apart !== null) this.log.warning(apart);
  }

  private async save(saving: Saving): Promise<void> {
    await saving.save();
    // A save is no part of a step.
    this.pace.skip();
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

  /** Signals and timers are only seen between two pieces of work. */
  private async isStopped(): Promise<boolean> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.interrupt.stop !== null;
  }

  /** Saves, says how to go on. @returns the exit code */
  private async stop(saving: Saving): Promise<number> {
    const stop = this.interrupt.stop!;
    await saving.saveRest();
    this.log.stopped(stop, join(this.job.folder.path, saving.saved!), this.session);
    return stop.exitCode;
  }

  /** An error of the numbers, of the device or of a thread, with what is kept and how to go on. Other errors as they are. */
  private explained(error: unknown): unknown {
    const device = isDeviceFault(error, this.job.backend) || error instanceof WorkerError;
    if (!device && !(error instanceof NonFiniteError)) return error;
    const kept = this.saving?.kept ?? 'nothing had been saved yet';
    const onward = device && this.saving?.saved ? `; go on with: ${resumeCommand(this.job)}` : '';
    return new UserError(`${error.message}. Training stopped; ${kept}${onward}`, 1, { cause: error });
  }
}

/** The device is lost, out of memory, or cannot hold a tensor. Nothing on disk is touched by it. */
const isDeviceFault = (error: unknown, backend: Backend): error is Error =>
  error instanceof Error && !backend.synchronous && ['DeviceError', 'RangeError'].includes(error.name);
