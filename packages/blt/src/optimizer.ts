/** @file AdamW over a tree of parameters, row-sparse where gradients are, and global-norm clipping. */
import { add, affine, type Cotangent, div, leaves, minimum, RowSparse, sqrt, sumSquares } from '@blt-ts/autograd';
import { full, integerPower, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Per step a parameter shrinks by the factor 1 - lr * weightDecay: all parameters, norms and embeddings included. */
  readonly weightDecay: number;
}

/** The paper's values. */
export const ADAMW_DEFAULTS: AdamWOptions = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };

/** A gradient as the optimiser uses it: dense, or unique rows of a table. */
export type Gradient = Tensor | { readonly ids: Int32Array; readonly rows: Tensor };

/** Dense gradients as they are; row-sparse ones with each touched row once. */
export function coalesce(gradients: ReadonlyMap<string, Cotangent>): Map<string, Gradient> {
  return new Map([...gradients].map(([name, g]) => [name, g instanceof RowSparse ? g.coalesce() : g] as const));
}

/** Name and gradient of every parameter in a tree of gradients. */
export function* gradientLeaves(node: unknown, path = ''): Generator<[name: string, gradient: Cotangent]> {
  if (node instanceof RowSparse) yield [path, node];
  else if (node !== null && typeof node === 'object') {
    if ('storage' in node) yield [path, node as Tensor];
    else {
      for (const [key, child] of Object.entries(node)) {
        yield* gradientLeaves(child, path === '' ? key : `${path}.${key}`);
      }
    }
  }
}

/** The sum of two trees of gradients of the same parameters (gradient accumulation), as a flat map. */
export function addGradients(a: Map<string, Cotangent>, b: Map<string, Cotangent>): Map<string, Cotangent> {
  const dense = (c: Cotangent) => (c instanceof RowSparse ? c.toDense() : c);
  return new Map(
    [...a].map(([name, x]) => {
      const y = b.get(name)!;
      return [name, x instanceof RowSparse && y instanceof RowSparse ? x.plus(y) : add(dense(x), dense(y))] as const;
    }),
  );
}

/**
 * Global norm of all gradients and the factor that brings it down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)).
 * Both are scalars; nothing is read back. @see Pascanu et al. 2013; torch.nn.utils.clip_grad_norm_
 */
export function clipFactor(
  gradients: ReadonlyMap<string, Gradient>,
  maxNorm: number,
  gradientScale = 1,
): { norm: Tensor; factor: Tensor } {
  return scope(() => {
    let total: Tensor | null = null;
    for (const g of gradients.values()) {
      const squares = sumSquares('ids' in g ? g.rows : g);
      total = total ? add(total, squares) : squares;
    }
    const norm = affine(sqrt(total!), gradientScale);
    return { norm, factor: affine(minimum(div(maxNorm, affine(norm, 1, 1e-6)), 1), gradientScale) };
  });
}

interface RowState {
  /** Step at which each row was last updated. */
  readonly lastStep: Int32Array;
  /** Sum of ln(1 - lr * weightDecay) over the steps a row has received. */
  readonly decayed: Float64Array;
}

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
  rows: RowState | null;
}

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2), updating the parameters in place.
 *
 * A table with row-sparse gradients is updated in the rows read, so that a step's cost does not follow its size. Against the
 * dense algorithm exactly one thing differs: a row that was not read does not move along its decaying momentum. Its moments
 * and its weight decay are made up for when it is next read; `settled` gives the weights with all decay applied.
 */
export class AdamW {
  readonly options: AdamWOptions;
  private readonly params: Map<string, Tensor>;
  private readonly moments = new Map<string, Moments>();
  private steps = 0;
  private decaySum = 0;

  constructor(params: object, options: AdamWOptions = ADAMW_DEFAULTS) {
    this.options = options;
    this.params = new Map(leaves(params));
    for (const [name, p] of this.params) {
      const like = { backend: p.backend };
      this.moments.set(name, { m: zeros(p.shape, like), v: zeros(p.shape, like), rows: null });
    }
  }

  /** Updates done. */
  get step(): number {
    return this.steps;
  }

  /** One update. Every gradient is multiplied by `factor` (a scalar tensor) first. */
  update(gradients: ReadonlyMap<string, Gradient>, lr: number, factor: Tensor): void {
    this.steps++;
    const attrs = { ...this.options, lr, step: this.steps };
    const updated: [rows: RowState, ids: Int32Array][] = [];
    scope(() => {
      for (const [name, p] of this.params) {
        const g = gradients.get(name);
        if (!g) throw new Error(`AdamW: no gradient for parameter ${name}`);
        const state = this.moments.get(name)!;
        const dense = !('ids' in g);
        if (dense && !state.rows) {
          run('adamw', [p, state.m, state.v, g, factor], attrs);
          continue;
        }
        const V = p.shape[0];
        state.rows ??= {
          lastStep: new Int32Array(V).fill(this.steps - 1),
          decayed: new Float64Array(V).fill(this.decaySum),
        };
        // A table may get a dense gradient between sparse ones (a batch with more ids than rows): every row is read then.
        const read = dense ? { ids: Int32Array.from({ length: V }, (_, row) => row), rows: g } : g;
        const missed = this.catchUp(state.rows, read.ids);
        const on = { backend: p.backend };
        const ids = tensor(read.ids, undefined, on);
        const factors = tensor(missed, [read.ids.length, 3], on);
        run('adamwRows', [p, state.m, state.v, ids, read.rows, factor, factors], attrs);
        updated.push([state.rows, read.ids]);
      }
    });
    this.decaySum += Math.log1p(-lr * this.options.weightDecay);
    // The rows just updated have received this step's decay.
    for (const [rows, ids] of updated) for (const id of ids) rows.decayed[id] = this.decaySum;
  }

  /** What the steps since each row was last read would have done to p, m and v: factors [U,3]. */
  private catchUp(rows: RowState, ids: Int32Array): Float32Array {
    const { beta1, beta2 } = this.options;
    const factors = new Float32Array(ids.length * 3);
    for (let u = 0; u < ids.length; u++) {
      const id = ids[u];
      const missed = this.steps - 1 - rows.lastStep[id];
      factors[u * 3] = Math.exp(this.decaySum - rows.decayed[id]);
      factors[u * 3 + 1] = integerPower(beta1, missed);
      factors[u * 3 + 2] = integerPower(beta2, missed);
      rows.lastStep[id] = this.steps;
    }
    return factors;
  }

  /**
   * The parameters as they would be with all weight decay applied: tables with rows that still owe some are copied, so that
   * looking never changes the run. Other parameters are the live tensors themselves.
   */
  settled(): Map<string, Tensor> {
    const settled = new Map(this.params);
    for (const [name, { rows }] of this.moments) {
      if (!rows) continue;
      const p = this.params.get(name)!;
      const values = p.readSync();
      const C = p.shape[1];
      for (let row = 0; row < rows.decayed.length; row++) {
        if (rows.decayed[row] === this.decaySum) continue;
        const owed = Math.fround(Math.exp(this.decaySum - rows.decayed[row]));
        for (let c = row * C; c < (row + 1) * C; c++) values[c] *= owed;
      }
      settled.set(name, tensor(values, p.shape, { backend: p.backend }));
    }
    return settled;
  }

  /** Everything needed to go on: tensors by name, and numbers. They are the optimiser's own: copy what is to be kept. */
  state(): { step: number; decaySum: number; tensors: Map<string, Tensor>; rows: Map<string, RowState> } {
    const tensors = new Map<string, Tensor>();
    const rows = new Map<string, RowState>();
    for (const [name, s] of this.moments) {
      tensors.set(`m.${name}`, s.m).set(`v.${name}`, s.v);
      if (s.rows) rows.set(name, s.rows);
    }
    return { step: this.steps, decaySum: this.decaySum, tensors, rows };
  }

  /** Continues from a saved state. @throws Error naming the first tensor that is missing or of another size */
  restore(state: {
    step: number;
    decaySum: number;
    tensors: ReadonlyMap<string, Float32Array>;
    rows: ReadonlyMap<string, RowState>;
  }): void {
    for (const [name, s] of this.moments) {
      for (const [key, target] of [
        [`m.${name}`, s.m],
        [`v.${name}`, s.v],
      ] as const) {
        const values = state.tensors.get(key);
        if (!values || values.length !== target.size) {
          throw new Error(`optimiser state: ${key} needs ${target.size} values, got ${values?.length ?? 'none'}`);
        }
        target.assign(values);
      }
      const rows = state.rows.get(name);
      // Copies: the optimiser the state came from may go on.
      s.rows = rows ? { lastStep: rows.lastStep.slice(), decayed: rows.decayed.slice() } : null;
    }
    this.steps = state.step;
    this.decaySum = state.decaySum;
  }
}

/** An exponential moving average of parameters: average += (1 - decay) (p - average), with a shorter memory at first. */
export class WeightAverage {
  readonly average: Map<string, Tensor>;
  private readonly decay: number;

  constructor(params: object, decay: number) {
    if (!(decay >= 0 && decay < 1)) throw new RangeError(`ema decay must be in [0, 1), got ${decay}`);
    this.decay = decay;
    this.average = new Map(
      leaves(params).map(([name, p]) => [name, tensor(p.readSync(), p.shape, { backend: p.backend })] as const),
    );
  }

  /** After update number `step` (from 1): the decay is at most (1 + step) / (10 + step). */
  update(params: object, step: number): void {
    const weight = 1 - Math.min(this.decay, (1 + step) / (10 + step));
    for (const [name, p] of leaves(params)) run('lerp', [this.average.get(name)!, p], { weight });
  }
}

/** A scalar 1: no clipping. */
export const unclipped = (like: Tensor): Tensor => full([], 1, { backend: like.backend });
