/** @file One optimisation: parameters, rows, a loss, AdamW (with Muon). The entropy model and the latent transformer are both trained by it. */

import { leaves, mapTree } from '@blt-ts/autograd';
import { AnomalyError, forEachTensor, Random, release, scope, type Tensor, withAnomalyDetection } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import { AdamWWithMuon } from '../optim/adamw-with-muon.ts';
import { learningRateMultiplier, stableSteps } from '../optim/schedule.ts';
import { countedBytes, type Predicting } from './counted.ts';
import type { RowLoader } from './data-loader.ts';
import { anomalyText, causeOfAnomaly } from './diagnosis.ts';
import type { LoopOptions, StepReport } from './loop-options.ts';
import { checkArrays, type LazyLoopState, type LoopState, loopArraysOf, readArrays } from './loop-state.ts';
import { bitsPerByte } from './metrics.ts';
import { onePass, type PassInput, type PassResult, passesOf, type Task } from './one-pass.ts';
import type { PassWorkers } from './pass-workers.ts';
import { clipped, type Passes, plus, type Sums, sharedSums } from './sums.ts';
import type { TaskName } from './tasks.ts';
import { WeightAverage } from './weight-average.ts';

/** Batches in a row that may be left out. */
const MOST_SKIPPED = 10;
/** Steps that the moving average of the loss remembers. */
const AVERAGE_OVER = 50;
/** Share of the steps of wsd in which the rate falls. */
export const DECAY_FRACTION = 0.2;
/** Step from which on that average is trusted to find spikes. */
const AVERAGE_FROM = 20;

/** Trains parameters P on batches made of rows. All of its state can be saved between two steps. */
export class TrainingLoop<P extends object, Row extends Predicting, Batch = unknown> {
  readonly params: P;
  readonly options: LoopOptions;
  private readonly loader: RowLoader<Row>;
  private readonly task: Task<P, Row, Batch>;
  private readonly optimizer: AdamWWithMuon;
  private readonly ema: WeightAverage | null;
  private random: Random;
  /** Updates in all: those of the options, unless the time that steps take said otherwise. */
  private total: number;
  private bytes = 0;
  private lossAverage: number | null = null;
  private skipped = 0;
  /** Check every kernel's results (slow): the step stops at the first that is not finite. */
  detectAnomaly = false;
  /** Threads that take some of the passes, and the task as they know it. */
  private helpers: { readonly workers: PassWorkers; readonly task: TaskName } | null = null;
  /** Weights that `evaluationParams` handed out last. */
  private caughtUp: Map<string, Tensor> = new Map();

  constructor(params: P, loader: RowLoader<Row>, task: Task<P, Row, Batch>, options: LoopOptions) {
    this.params = params;
    this.loader = loader;
    this.task = task;
    this.options = options;
    this.total = options.steps;
    const { adamw, groups = [], muon = null, lr } = options;
    this.optimizer = new AdamWWithMuon(params, adamw, groups, muon, lr);
    this.ema = options.ema === null ? null : new WeightAverage(params, options.ema);
    this.random = new Random(options.seed).fork('dropout');
  }

  get step(): number {
    return this.optimizer.stepsDone;
  }

  /** Updates in all. */
  get steps(): number {
    return this.total;
  }

  /**
   * Ends the loop after `steps` updates instead; the learning rate's decay is fitted to it from the next update on. Saved with the
   * state, so that a run that goes on later ends at the same step.
   */
  endAt(steps: number): void {
    this.total = Math.max(this.step, Math.round(steps));
  }

  get done(): boolean {
    return this.step >= this.total;
  }

  /** Bytes of text seen so far, repeats counted and specials left out. */
  get bytesSeen(): number {
    return this.bytes;
  }

  /** One update, or one batch left out. @throws NonFiniteError naming the first kernel whose result is not a number */
  async next(): Promise<StepReport> {
    this.forgetCaughtUp();
    const { accumulation, batchRows, dropout } = this.options;
    const batches = Array.from({ length: accumulation }, () => this.loader.next(batchRows));
    const random = this.random.state();
    const { helpers } = this;
    const shared = helpers && this.isShareable(batches) && helpers.workers.take(helpers.task, this.params, dropout);
    const workers = shared ? helpers.workers : null;
    const pass = workers
      ? await this.sharedPasses(batches, workers)
      : this.checked(() => this.forwardBackward(batches));
    try {
      const report = await this.report(pass, batches, random);
      if (report.skipped) this.skipped++;
      else {
        await this.update(pass, report.lr, workers);
        this.account(report);
      }
      return report;
    } finally {
      forEachTensor(pass, release);
    }
  }

  /** Lets workers take some of the passes. The bits do not change. */
  useWorkers(workers: PassWorkers, task: TaskName): void {
    this.helpers = { workers, task };
  }

  /** Whether a step has several passes that do not depend on each other. Under anomaly detection this thread computes all of them. */
  private isShareable(batches: readonly (readonly Row[])[]): boolean {
    const { passRows } = this.options;
    return passRows !== undefined && !this.detectAnomaly && this.passesOf(batches).length > 1;
  }

  private passesOf(batches: readonly (readonly Row[])[]): PassInput<Row>[] {
    return passesOf(batches, this.options.passRows, this.random, `step ${this.step + 1}`);
  }

  /** Losses and gradients of the batches. Nothing of the loop changes but rows that lagged behind, and the dropout stream. */
  private forwardBackward(batches: readonly (readonly Row[])[]): Passes {
    return scope(() => {
      let sums: Sums | null = null;
      for (const input of this.passesOf(batches)) sums = plus(sums, this.onePass(input));
      return clipped(sums!, this.options.gradClip);
    });
  }

  /** `forwardBackward` on several threads. */
  private async sharedPasses(batches: readonly (readonly Row[])[], workers: PassWorkers): Promise<Passes> {
    const passes = this.passesOf(batches);
    // While a worker reads the weights nothing may change them.
    for (const { rows } of passes) scope(() => this.catchUp(this.task.batch(rows)));
    return sharedSums(workers, passes, (input) => this.onePass(input), this.options.gradClip);
  }

  private catchUp(batch: Batch): void {
    for (const [name, ids] of this.task.reads?.(batch) ?? []) this.optimizer.catchUp(name, ids);
  }

  private onePass(input: PassInput<Row>): PassResult {
    return scope(() => {
      const batch = this.task.batch(input.rows);
      this.catchUp(batch);
      return onePass(this.task, this.params, batch, input, this.options.dropout);
    });
  }

  /** The optimiser, then the moving average of the weights. @param workers that update the matrices of Muon */
  private async update({ gradients, factor }: Passes, lr: number, workers: PassWorkers | null): Promise<void> {
    const step = this.step + 1;
    if (workers) {
      await this.optimizer.stepBeside(gradients, lr, factor, (matrices, how) => workers.update(matrices, how, factor));
    } else this.checked(() => scope(() => this.optimizer.step(gradients, lr, { scale: factor })));
    const { ema } = this;
    if (!ema) return;
    this.checked(() =>
      scope(() => {
        // The average is over every weight of every step: rows that were not read must not lag behind.
        this.optimizer.catchUpAll();
        ema.update(this.params, step);
      }),
    );
  }

  /** Reads loss and gradient norm, and decides whether the step is taken. @param random the dropout stream before the pass */
  private async report(
    { totals, targets, norm }: Passes,
    batches: readonly (readonly Row[])[],
    random: number[],
  ): Promise<StepReport> {
    const step = this.step + 1;
    let nats = 0;
    for (const value of totals) nats += (await value.read())[0];
    const gradNorm = (await norm.read())[0];
    const lossNats = nats / targets;
    const finite = Number.isFinite(lossNats) && Number.isFinite(gradNorm);
    const skipped = this.isSpike(step, lossNats, finite);
    if (!finite && !skipped) {
      const number = Number.isFinite(lossNats) ? `gradient norm is ${gradNorm}` : `loss is ${lossNats}`;
      this.random = Random.fromState(random);
      const cause = causeOfAnomaly(this.params, () => forEachTensor(this.forwardBackward(batches), release));
      throw new NonFiniteError(`step ${step}: the ${number}${cause}; ${this.advice()}`);
    }
    const bytes = countedBytes(batches.flat());
    const bpb = bytes > 0 ? bitsPerByte(nats, bytes) : null;
    return { step, lossNats, bitsPerByte: bpb, gradNorm, lr: this.learningRate(step), bytes, targets, skipped };
  }

  private learningRate(step: number): number {
    const { lr, warmupSteps, minRatio, schedule = 'cosine', decayFraction = DECAY_FRACTION } = this.options;
    const warmEnd = schedule === 'wsd' ? stableSteps(this.total, decayFraction) : this.total;
    const numbers = { warmupSteps: Math.min(warmupSteps, this.total - 1, warmEnd), totalSteps: this.total, minRatio };
    return lr * learningRateMultiplier(step, { schedule, ...numbers, decayFraction, decay: 'line' });
  }

  /** True with schedule wsd where the next update is the first of the decay: up to here nothing depended on the number of steps. */
  get beginsDecay(): boolean {
    const { schedule, decayFraction = DECAY_FRACTION } = this.options;
    return schedule === 'wsd' && this.step === stableSteps(this.total, decayFraction);
  }

  private account({ bytes, lossNats }: StepReport): void {
    this.bytes += bytes;
    this.skipped = 0;
    this.lossAverage =
      this.lossAverage === null ? lossNats : this.lossAverage + (lossNats - this.lossAverage) / AVERAGE_OVER;
  }

  private isSpike(step: number, lossNats: number, finite: boolean): boolean {
    const { spike } = this.options;
    if (!spike || this.skipped >= MOST_SKIPPED) return false;
    if (!finite) return true;
    return step > AVERAGE_FROM && this.lossAverage !== null && lossNats > spike.factor * this.lossAverage;
  }

  private advice(): string {
    return `lower the learning rate (now ${this.options.lr}) or raise warm-up (now ${this.options.warmupSteps} steps)`;
  }

  /** `f`, with every kernel's results checked if that was asked for. */
  private checked<R>(f: () => R): R {
    if (!this.detectAnomaly) return f();
    const step = this.step + 1;
    try {
      return withAnomalyDetection(f);
    } catch (error) {
      if (!(error instanceof AnomalyError)) throw error;
      const text = anomalyText(error, this.params);
      throw new NonFiniteError(`step ${step}: ${text}; ${this.advice()}`, { cause: error });
    }
  }

  /**
   * The weights to evaluate and save: the moving average if there is one, else the parameters with all weight decay applied.
   * Looking at them does not change the run. They are good until the next step.
   */
  evaluationParams(): P {
    if (!this.ema && this.caughtUp.size === 0) this.caughtUp = this.optimizer.caughtUp();
    const weights = this.ema?.average ?? this.caughtUp;
    return mapTree(this.params, (_, name) => weights.get(name)!) as unknown as P;
  }

  /** Frees everything but the parameters and what is to be spared. The loop must not be used afterwards. */
  dispose(spared: ReadonlySet<Tensor> = new Set()): void {
    this.forgetCaughtUp(spared);
    forEachTensor([this.optimizer.state().tensors, this.ema?.average], (t) => spared.has(t) || release(t));
  }

  private forgetCaughtUp(spared: ReadonlySet<Tensor> = new Set()): void {
    const live = new Set(leaves(this.params).map(([, leaf]) => leaf));
    for (const t of this.caughtUp.values()) if (!live.has(t) && !spared.has(t)) release(t);
    this.caughtUp = new Map();
  }

  /** The state between two steps. */
  async state(): Promise<LoopState> {
    const lazy = this.lazyState();
    return { ...lazy, arrays: await readArrays(lazy.arrays) };
  }

  /** The state between two steps, its arrays not yet copied. */
  lazyState(): LazyLoopState {
    const step = this.optimizer.stepsDone;
    const { bytes, lossAverage, skipped } = this;
    const random = this.random.state();
    const steps = this.total === this.options.steps ? undefined : this.total;
    const arrays = loopArraysOf(this.params, this.optimizer.state(), this.ema?.average ?? null);
    return { step, steps, bytes, cursor: this.loader.cursor, random, lossAverage, skipped, arrays };
  }

  /** Continues from a saved state, bit for bit. @throws Error naming the first array that is missing or of another size */
  restore(state: LoopState): void {
    const { values, optimizer } = checkArrays(state, this.params, this.optimizer.state(), this.ema?.average ?? null);
    // Nothing has been touched so far: a broken state leaves the loop as it was.
    this.forgetCaughtUp();
    this.optimizer.restore(optimizer);
    for (const [target, array] of values) target.assign(array);
    this.random = Random.fromState(state.random);
    this.loader.seek(state.cursor);
    this.total = state.steps ?? this.options.steps;
    this.bytes = state.bytes;
    this.lossAverage = state.lossAverage;
    this.skipped = state.skipped;
  }

  /** Goes back to the weights of a saved state, but not to its place in the data: the batches since then are not seen again. */
  rewind(state: LoopState): void {
    const { cursor } = this.loader;
    this.restore({ ...state, steps: this.total, cursor, random: this.random.state(), skipped: this.skipped });
  }
}
