/** @file One optimisation: parameters, rows, a loss, AdamW. The entropy model and the latent transformer are both trained by it. */
import { type Cotangent, leaves, mapTree, sum, valueAndGrad } from '@blt-ts/autograd';
import { Random, release, scope, type Tensor } from '@blt-ts/tensor';
import {
  AdamW,
  type AdamWOptions,
  addGradients,
  clipFactor,
  coalesce,
  type Gradient,
  gradientLeaves,
  WeightAverage,
} from './optimizer.ts';
import { Dropout, type DropoutRates } from './regularization.ts';
import type { DataCursor, RowDealer } from './rows.ts';
import { learningRateMultiplier } from './schedule.ts';

export interface LoopOptions {
  readonly steps: number;
  /** Rows per forward pass. */
  readonly batchRows: number;
  /** Forward passes per update; their gradients are averaged over all bytes. */
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
  readonly seed: number;
}

export interface StepReport {
  /** Updates done, this one included. */
  readonly step: number;
  /** Mean cross-entropy of the step's targets, nats. */
  readonly lossNats: number;
  /** Global norm of the gradient of the mean loss, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  /** Targets of this step. */
  readonly bytes: number;
}

/** A loss or gradient that is not a number: the run stops, what was saved before stays whole. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/** What a loop needs to go on exactly where it was. Arrays by name; the rest is JSON. */
export interface LoopState {
  readonly step: number;
  readonly bytes: number;
  readonly cursor: DataCursor;
  readonly random: number[];
  readonly decaySum: number;
  readonly arrays: ReadonlyMap<string, Float32Array | Int32Array | Float64Array>;
}

/** Cross-entropies of all targets of the rows, nats [B]. */
export type RowLoss<P, Row> = (params: P, rows: readonly Row[], dropout: Dropout) => Tensor;

export class TrainingLoop<P extends object, Row> {
  readonly params: P;
  readonly options: LoopOptions;
  private readonly dealer: RowDealer<Row>;
  private readonly losses: RowLoss<P, Row>;
  private readonly optimizer: AdamW;
  private readonly ema: WeightAverage | null;
  private random: Random;
  private bytes = 0;
  /** What `evaluationParams` handed out last. */
  private settled: Map<string, Tensor> = new Map();

  constructor(params: P, dealer: RowDealer<Row>, losses: RowLoss<P, Row>, options: LoopOptions) {
    this.params = params;
    this.dealer = dealer;
    this.losses = losses;
    this.options = options;
    this.optimizer = new AdamW(params, options.adamw);
    this.ema = options.ema === null ? null : new WeightAverage(params, options.ema);
    this.random = new Random(options.seed).fork('dropout');
  }

  get step(): number {
    return this.optimizer.step;
  }

  get done(): boolean {
    return this.step >= this.options.steps;
  }

  /** Targets seen so far. */
  get bytesSeen(): number {
    return this.bytes;
  }

  /** One update. @throws NonFiniteError if the loss or the gradient is not a number; parameters are then not to be used */
  async next(): Promise<StepReport> {
    this.forgetSettled();
    const { accumulation, batchRows, gradClip } = this.options;
    const step = this.optimizer.step + 1;
    const lr =
      this.options.lr *
      learningRateMultiplier(step, {
        schedule: 'cosine',
        warmupSteps: this.options.warmupSteps,
        totalSteps: this.options.steps,
        minRatio: this.options.minRatio,
      });
    let bytes = 0;
    const { total, norm } = scope(() => {
      let gradients: Map<string, Cotangent> | null = null;
      const total: Tensor[] = [];
      for (let micro = 0; micro < accumulation; micro++) {
        const rows = this.dealer.next(batchRows);
        const dropout = new Dropout(this.options.dropout, this.random);
        const { value, grads, aux } = valueAndGrad(
          (params: P) => {
            const losses = this.losses(params, rows, dropout);
            return { loss: sum(losses), aux: losses.size };
          },
          { sparse: true },
        )(this.params);
        bytes += aux;
        total.push(value);
        const found = new Map(gradientLeaves(grads));
        gradients = gradients ? addGradients(gradients, found) : found;
      }
      const ready: Map<string, Gradient> = coalesce(gradients!);
      const { norm, factor } = clipFactor(ready, gradClip, 1 / bytes);
      this.optimizer.update(ready, lr, factor);
      this.ema?.update(this.params, step);
      return { total, norm };
    });
    let nats = 0;
    for (const value of total) nats += (await value.read())[0];
    const gradNorm = (await norm.read())[0];
    for (const made of [...total, norm]) release(made);
    this.bytes += bytes;
    const lossNats = nats / bytes;
    if (!Number.isFinite(lossNats) || !Number.isFinite(gradNorm)) {
      throw new NonFiniteError(
        `step ${step}: the ${Number.isFinite(lossNats) ? `gradient norm is ${gradNorm}` : `loss is ${lossNats}`}; ` +
          `lower the learning rate (now ${this.options.lr}) or raise warm-up (now ${this.options.warmupSteps} steps)`,
      );
    }
    return { step, lossNats, gradNorm, lr, bytes };
  }

  /**
   * The weights to evaluate and save: the moving average if there is one, else the parameters with all weight decay applied.
   * Looking at them does not change the run. They are good until the next step, or the next call.
   */
  evaluationParams(): P {
    this.forgetSettled();
    const weights = this.ema?.average ?? this.optimizer.settled();
    if (!this.ema) this.settled = weights;
    return mapTree(this.params, (_, name) => weights.get(name)!) as unknown as P;
  }

  private forgetSettled(): void {
    const live = new Set(leaves(this.params).map(([, leaf]) => leaf));
    for (const t of this.settled.values()) if (!live.has(t)) release(t);
    this.settled = new Map();
  }

  /** The state between two steps. */
  async state(): Promise<LoopState> {
    const { step, decaySum, tensors, rows } = this.optimizer.state();
    const arrays = new Map<string, Float32Array | Int32Array | Float64Array>();
    for (const [name, t] of tensors) arrays.set(name, await t.read());
    for (const [name, p] of leaves(this.params)) arrays.set(`p.${name}`, await p.read());
    for (const [name, t] of this.ema?.average ?? []) arrays.set(`ema.${name}`, await t.read());
    for (const [name, row] of rows) {
      arrays.set(`lastStep.${name}`, row.lastStep.slice()).set(`decayed.${name}`, row.decayed.slice());
    }
    return { step, bytes: this.bytes, cursor: this.dealer.cursor, random: this.random.state(), decaySum, arrays };
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
    const rows = new Map<string, { lastStep: Int32Array; decayed: Float64Array }>();
    const fresh: [Tensor, Float32Array][] = [];
    for (const [name, p] of leaves(this.params)) {
      fresh.push([p, floats(`p.${name}`, p.size)]);
      const average = this.ema?.average.get(name);
      if (average) fresh.push([average, floats(`ema.${name}`, p.size)]);
      for (const moment of ['m', 'v']) tensors.set(`${moment}.${name}`, floats(`${moment}.${name}`, p.size));
      const lastStep = state.arrays.get(`lastStep.${name}`);
      const decayed = state.arrays.get(`decayed.${name}`);
      if (lastStep instanceof Int32Array && decayed instanceof Float64Array) {
        if (lastStep.length !== p.shape[0] || decayed.length !== p.shape[0]) {
          throw new Error(`training state: lastStep.${name} needs ${p.shape[0]} values, got ${lastStep.length}`);
        }
        rows.set(name, { lastStep: lastStep.slice(), decayed: decayed.slice() });
      }
    }
    // Nothing has been touched so far: a broken state leaves the loop as it was.
    this.optimizer.restore({ step: state.step, decaySum: state.decaySum, tensors, rows });
    for (const [target, values] of fresh) target.assign(values);
    this.random = Random.fromState(state.random);
    this.dealer.seek(state.cursor);
    this.bytes = state.bytes;
  }
}
