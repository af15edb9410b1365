/** @file One optimisation: parameters, rows, a loss, AdamW. The entropy model and the latent transformer are both trained by it. */
import { type Cotangent, leaves, mapTree, sum, valueAndGrad } from '@blt-ts/autograd';
import { AnomalyError, forEachTensor, Random, release, scope, type Tensor, withAnomalyDetection } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import { Dropout, type DropoutRates } from '../model/dropout.ts';
import { countBytes } from '../patching/vocabulary.ts';
import {
  AdamW,
  type AdamWOptions,
  addGradients,
  clipFactor,
  coalesce,
  type Gradient,
  gradientLeaves,
  type ParameterGroup,
  WeightAverage,
} from './adamw.ts';
import type { DataCursor, RowDealer } from './data-loader.ts';
import { bitsPerByte } from './metrics.ts';
import { learningRateMultiplier } from './schedule.ts';

export interface LoopOptions {
  readonly steps: number;
  /** Rows per forward pass. */
  readonly batchRows: number;
  /** Forward passes per update; their gradients are averaged over all targets. */
  readonly accumulation: number;
  /** Peak learning rate. */
  readonly lr: number;
  readonly warmupSteps: number;
  /** The rate falls along a cosine to lr * minRatio. */
  readonly minRatio: number;
  /** Global norm above which a gradient is scaled down. */
  readonly gradClip: number;
  readonly adamw: AdamWOptions;
  readonly dropout: DropoutRates;
  /** Decay of the averaged weights that are evaluated and saved; null: the weights themselves. */
  readonly ema: number | null;
  /** What to do about a batch whose loss stands out; null: nothing. */
  readonly spike?: SpikeOptions | null;
  /** Parameters with a learning rate of their own. */
  readonly groups?: readonly ParameterGroup[];
  readonly seed: number;
}

/**
 * A batch spikes if its loss, in nats, is above `factor` times the moving average (memory 50 steps, from step 20 on), or is not a
 * number. 'skip': it is left out and the step is taken on the next batch. 'rewind': the same, and whoever drives the run is told, so
 * that it can go back to weights from before the trouble (`rewind`).
 */
export interface SpikeOptions {
  readonly action: 'skip' | 'rewind';
  readonly factor: number;
}

/** Batches in a row that may be left out. */
export const MOST_SKIPPED = 10;
const AVERAGE_OVER = 50;
const AVERAGE_FROM = 20;

export interface StepReport {
  /** Updates done, this one included. */
  readonly step: number;
  /** Mean cross-entropy of the step's targets, nats: sum / targets. BOS and EOS are targets, too. This mean is what is minimised. */
  readonly lossNats: number;
  /** lossNats * targets / (ln 2 * bytes): specials cost, but are not counted as bytes. Null if the step had no byte among its targets. */
  readonly bitsPerByte: number | null;
  /** Global norm of the gradient of the mean loss, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  /** Bytes of text among the step's targets. */
  readonly bytes: number;
  /** All targets of the step, specials included: bytes + BOS + EOS. */
  readonly targets: number;
  /** True if the batch was left out: no update was done, and `step` is the one that is still to come. */
  readonly skipped: boolean;
}

/** What a loop needs to go on exactly where it was. Arrays by name; the rest is JSON. */
export interface LoopState {
  readonly step: number;
  /** Updates in all, where they are not those of the options. */
  readonly steps?: number;
  /** Bytes of text seen, repeats counted. */
  readonly bytes: number;
  readonly cursor: DataCursor;
  readonly random: number[];
  /** Moving average of the loss, nats; null before the first step. */
  readonly lossAverage: number | null;
  /** Batches left out since the last update. */
  readonly skipped: number;
  readonly arrays: ReadonlyMap<string, Float32Array | Int32Array | Float64Array>;
}

/** An array of a state that is read when it is wanted. */
export interface StateArray {
  readonly dtype: 'F32' | 'I32' | 'F64';
  readonly length: number;
  /** The values, the caller's own to keep or drop. */
  read(): Promise<Float32Array | Int32Array | Float64Array>;
}

/** A state whose arrays have not been copied: good until the next step, and for saving one array after the other. */
export interface OpenLoopState extends Omit<LoopState, 'arrays'> {
  readonly arrays: ReadonlyMap<string, StateArray>;
}

/** The array of a state behind a tensor. */
export const stateArray = (t: Tensor): StateArray => ({
  dtype: t.dtype === 'i32' ? 'I32' : 'F32',
  length: t.size,
  read: () => t.read(),
});

/** The array of a state that the host holds; it is copied when read. */
export const hostArray = (values: Int32Array | Float64Array): StateArray => ({
  dtype: values instanceof Int32Array ? 'I32' : 'F64',
  length: values.length,
  read: async () => values.slice(),
});

/** Reads every array. */
export async function readArrays(arrays: ReadonlyMap<string, StateArray>): Promise<LoopState['arrays']> {
  const read = new Map<string, Float32Array | Int32Array | Float64Array>();
  for (const [name, array] of arrays) read.set(name, await array.read());
  return read;
}

/** What a loop trains: how rows become a batch, and what the batch costs. */
export interface Task<P, Row, Batch> {
  batch(rows: readonly Row[]): Batch;
  /** Cross-entropies of all targets, nats [B]. */
  losses(params: P, batch: Batch, dropout: Dropout): Tensor;
  /** Rows of big tables that the batch will read, by parameter name; ids may repeat. */
  reads?(batch: Batch): ReadonlyMap<string, Int32Array>;
}

/** A row as the loop sees it: what is predicted. */
interface Predicting {
  readonly targets: Int32Array;
}

export class TrainingLoop<P extends object, Row extends Predicting, Batch = unknown> {
  readonly params: P;
  readonly options: LoopOptions;
  private readonly dealer: RowDealer<Row>;
  private readonly task: Task<P, Row, Batch>;
  private readonly optimizer: AdamW;
  private readonly ema: WeightAverage | null;
  private random: Random;
  /** Updates in all: those of the options, unless the time that steps take said otherwise. */
  private total: number;
  private bytes = 0;
  private lossAverage: number | null = null;
  private skipped = 0;
  /** Check every kernel's results (slow): the step stops at the first that is not finite. */
  detectAnomaly = false;
  /** What `evaluationParams` handed out last. */
  private settled: Map<string, Tensor> = new Map();

  constructor(params: P, dealer: RowDealer<Row>, task: Task<P, Row, Batch>, options: LoopOptions) {
    this.params = params;
    this.dealer = dealer;
    this.task = task;
    this.options = options;
    this.total = options.steps;
    this.optimizer = new AdamW(params, options.adamw, options.groups);
    this.ema = options.ema === null ? null : new WeightAverage(params, options.ema);
    this.random = new Random(options.seed).fork('dropout');
  }

  get step(): number {
    return this.optimizer.step;
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
    this.forgetSettled();
    const { accumulation, batchRows } = this.options;
    const step = this.optimizer.step + 1;
    const lr =
      this.options.lr *
      learningRateMultiplier(step, {
        schedule: 'cosine',
        warmupSteps: Math.min(this.options.warmupSteps, this.total - 1),
        totalSteps: this.total,
        minRatio: this.options.minRatio,
      });
    const batches = Array.from({ length: accumulation }, () => this.dealer.next(batchRows));
    const before = this.random.state();
    const pass = this.detectAnomaly ? this.explained(step, () => this.gradients(batches)) : this.gradients(batches);
    const { totals, targets, norm, factor, gradients } = pass;
    const bytes = countBytes(batches.flat().map((row) => row.targets));
    try {
      let nats = 0;
      for (const value of totals) nats += (await value.read())[0];
      const gradNorm = (await norm.read())[0];
      const lossNats = nats / targets;
      const finite = Number.isFinite(lossNats) && Number.isFinite(gradNorm);
      const skipped = this.isSpike(step, lossNats, finite);
      if (!finite && !skipped) {
        const what = Number.isFinite(lossNats) ? `gradient norm is ${gradNorm}` : `loss is ${lossNats}`;
        throw new NonFiniteError(`step ${step}: the ${what}${this.postMortem(batches, before)}; ${this.advice()}`);
      }
      const bpb = bytes > 0 ? bitsPerByte(nats, bytes) : null;
      const report = { step, lossNats, bitsPerByte: bpb, gradNorm, lr, bytes, targets, skipped };
      if (skipped) {
        this.skipped++;
        return report;
      }
      const update = () =>
        scope(() => {
          this.optimizer.update(gradients, lr, factor);
          // The average is over every weight of every step: rows that were not read must not lag behind.
          if (this.ema) this.optimizer.catchUpAll();
          this.ema?.update(this.params, step);
        });
      if (this.detectAnomaly) this.explained(step, update);
      else update();
      this.bytes += bytes;
      this.skipped = 0;
      this.lossAverage =
        this.lossAverage === null ? lossNats : this.lossAverage + (lossNats - this.lossAverage) / AVERAGE_OVER;
      return report;
    } finally {
      forEachTensor(pass, release);
    }
  }

  /** Forward and backward over the batches; nothing of the loop changes but the dropout stream. */
  private gradients(batches: readonly (readonly Row[])[]) {
    return scope(() => {
      let targets = 0;
      let sums: Map<string, Cotangent> | null = null;
      const totals: Tensor[] = [];
      for (const rows of batches) {
        const dropout = new Dropout(this.options.dropout, this.random);
        const batch = this.task.batch(rows);
        for (const [name, ids] of this.task.reads?.(batch) ?? []) this.optimizer.catchUp(name, ids);
        const { value, grads, aux } = valueAndGrad(
          (params: P) => {
            const losses = this.task.losses(params, batch, dropout);
            return { loss: sum(losses), aux: losses.size };
          },
          { sparse: true },
        )(this.params);
        targets += aux;
        totals.push(value);
        const found = new Map(gradientLeaves(grads));
        sums = sums ? addGradients(sums, found) : found;
      }
      const gradients: Map<string, Gradient> = coalesce(sums!);
      return { totals, targets, gradients, ...clipFactor(gradients, this.options.gradClip, 1 / targets) };
    });
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

  /** Runs the step's computation again, kernel by kernel, to name the first that made the trouble. */
  private postMortem(batches: readonly (readonly Row[])[], random: number[]): string {
    this.random = Random.fromState(random);
    for (const [name, p] of leaves(this.params)) {
      if (!p.backend.synchronous) return '';
      const at = p.readSync().findIndex((v) => !Number.isFinite(v));
      if (at !== -1) return `, because parameter ${name} holds ${p.readSync()[at]} at ${at}`;
    }
    try {
      withAnomalyDetection(() => forEachTensor(this.gradients(batches), release));
      return '';
    } catch (error) {
      if (error instanceof AnomalyError) return `; first, ${this.named(error)}`;
      throw error;
    }
  }

  private explained<R>(step: number, f: () => R): R {
    try {
      return withAnomalyDetection(f);
    } catch (error) {
      if (!(error instanceof AnomalyError)) throw error;
      throw new NonFiniteError(`step ${step}: ${this.named(error)}; ${this.advice()}`, { cause: error });
    }
  }

  /** The anomaly with the names of the parameters that its kernel read. */
  private named({ message, inputs }: AnomalyError): string {
    const names = leaves(this.params).flatMap(([name, p]) =>
      inputs.some((x) => x.storage === p.storage) ? [name] : [],
    );
    return names.length > 0 ? `${message}, reading ${names.join(' and ')}` : message;
  }

  /**
   * The weights to evaluate and save: the moving average if there is one, else the parameters with all weight decay applied.
   * Looking at them does not change the run. They are good until the next step.
   */
  evaluationParams(): P {
    if (!this.ema && this.settled.size === 0) this.settled = this.optimizer.settled();
    const weights = this.ema?.average ?? this.settled;
    return mapTree(this.params, (_, name) => weights.get(name)!) as unknown as P;
  }

  /** Frees everything but the parameters. The loop must not be used afterwards. */
  dispose(): void {
    this.forgetSettled();
    forEachTensor([this.optimizer.state().tensors, this.ema?.average], release);
  }

  private forgetSettled(): void {
    const live = new Set(leaves(this.params).map(([, leaf]) => leaf));
    for (const t of this.settled.values()) if (!live.has(t)) release(t);
    this.settled = new Map();
  }

  /** The state between two steps. */
  async state(): Promise<LoopState> {
    const open = this.openState();
    return { ...open, arrays: await readArrays(open.arrays) };
  }

  /** The state between two steps, its arrays not yet copied. */
  openState(): OpenLoopState {
    const { rates, tensors, rows } = this.optimizer.state();
    const { step } = this.optimizer;
    const arrays = new Map<string, StateArray>();
    for (const [name, t] of tensors) arrays.set(name, stateArray(t));
    for (const [name, p] of leaves(this.params)) arrays.set(`p.${name}`, stateArray(p));
    for (const [name, t] of this.ema?.average ?? []) arrays.set(`ema.${name}`, stateArray(t));
    for (const [name, lastStep] of rows) arrays.set(`lastStep.${name}`, hostArray(lastStep));
    arrays.set('rates', hostArray(rates));
    const { bytes, lossAverage, skipped } = this;
    const random = this.random.state();
    const steps = this.total === this.options.steps ? undefined : this.total;
    return { step, steps, bytes, cursor: this.dealer.cursor, random, lossAverage, skipped, arrays };
  }

  /** Continues from a saved state, bit for bit. @throws Error naming the first array that is missing or of another size */
  restore(state: LoopState): void {
    const floats = (name: string, size: number): Float32Array => {
      const values = state.arrays.get(name);
      if (!(values instanceof Float32Array) || values.length !== size) {
        throw new Error(`training state: ${name} needs ${size} values, got ${values?.length ?? 'none'}`);
      }
      return values;
    };
    const tensors = new Map<string, Float32Array>();
    const rows = new Map<string, Int32Array>();
    const fresh: [Tensor, Float32Array][] = [];
    for (const [name, p] of leaves(this.params)) {
      fresh.push([p, floats(`p.${name}`, p.size)]);
      const average = this.ema?.average.get(name);
      if (average) fresh.push([average, floats(`ema.${name}`, p.size)]);
      for (const moment of ['m', 'v']) tensors.set(`${moment}.${name}`, floats(`${moment}.${name}`, p.size));
      const lastStep = state.arrays.get(`lastStep.${name}`);
      if (lastStep instanceof Int32Array) {
        if (lastStep.length !== p.shape[0]) {
          throw new Error(`training state: lastStep.${name} needs ${p.shape[0]} values, got ${lastStep.length}`);
        }
        rows.set(name, lastStep);
      }
    }
    const rates = state.arrays.get('rates');
    if (!(rates instanceof Float64Array) || rates.length !== state.step) {
      throw new Error(`training state: rates needs ${state.step} values, got ${rates?.length ?? 'none'}`);
    }
    // Nothing has been touched so far: a broken state leaves the loop as it was.
    this.forgetSettled();
    this.optimizer.restore({ rates, tensors, rows });
    for (const [target, values] of fresh) target.assign(values);
    this.random = Random.fromState(state.random);
    this.dealer.seek(state.cursor);
    this.total = state.steps ?? this.options.steps;
    this.bytes = state.bytes;
    this.lossAverage = state.lossAverage;
    this.skipped = state.skipped;
  }

  /** Goes back to the weights of a saved state, but not to its place in the data: the batches since then are not seen again. */
  rewind(state: LoopState): void {
    const { cursor } = this.dealer;
    this.restore({ ...state, steps: this.total, cursor, random: this.random.state(), skipped: this.skipped });
  }
}
