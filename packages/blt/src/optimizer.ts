/** @file AdamW over a tree of parameters, row-sparse where gradients are, and global-norm clipping. */
import { add, affine, type Cotangent, div, leaves, minimum, RowSparse, sqrt, sumSquares } from '@blt-ts/autograd';
import { full, integerPower, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { copyOf } from './parameters.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Per step a parameter shrinks by the factor 1 - lr * weightDecay: all parameters, norms and embeddings included. */
  readonly weightDecay: number;
}

/** The paper's values. */
export const ADAMW_DEFAULTS: AdamWOptions = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };

/** Parameters whose name starts with `prefix` are trained at `lrScale` times the learning rate. The first group that fits counts. */
export interface ParameterGroup {
  readonly prefix: string;
  readonly lrScale: number;
}

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

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
  readonly lrScale: number;
  /** For a table with row-sparse gradients: the update each row has received last, or has been brought up to. */
  lastStep: Int32Array | null;
}

/** A share of a momentum that no float notices any more. */
const FADED = 1e-18;

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2), updating the parameters in place.
 *
 * A table with row-sparse gradients is updated in the rows that were read, so that a step's cost does not follow its size. What the
 * dense algorithm does to an unread row (weight decay, fading moments, and the drift along its fading momentum) is a function of the
 * rates since it was last read: `catchUp` does all of it at once, before the row is read again. The result is that of dense AdamW,
 * but for eps, which the drift takes as 0, and for rounding.
 */
export class AdamW {
  readonly options: AdamWOptions;
  private readonly params: Map<string, Tensor>;
  private readonly moments = new Map<string, Moments>();
  /** rates[t-1]: learning rate of update t, before a group's scale */
  private rates: number[] = [];
  /** For each scale of the rates, kept[t]: what weight decay has left after t updates, the product of 1 - rate * weightDecay */
  private readonly kept = new Map<number, number[]>();

  /** @param groups learning rates of their own: every rate of `update` is multiplied by the scale of the parameter's group */
  constructor(params: object, options: AdamWOptions = ADAMW_DEFAULTS, groups: readonly ParameterGroup[] = []) {
    this.options = options;
    this.params = new Map(leaves(params));
    for (const [name, p] of this.params) {
      const like = { backend: p.backend };
      const lrScale = groups.find(({ prefix }) => name.startsWith(prefix))?.lrScale ?? 1;
      this.moments.set(name, { m: zeros(p.shape, like), v: zeros(p.shape, like), lrScale, lastStep: null });
      this.kept.set(lrScale, [1]);
    }
  }

  /** Updates done. */
  get step(): number {
    return this.rates.length;
  }

  /**
   * Brings rows of a table to where dense AdamW would have them by now. Call it with the rows a step will read, before the forward
   * pass; ids may repeat, negative ones are passed over. Tables without row-sparse gradients so far are up to date anyway.
   */
  catchUp(name: string, ids: Int32Array): void {
    const state = this.moments.get(name);
    if (!state?.lastStep) return;
    const behind = takeBehind(ids, state.lastStep, this.step);
    if (behind.rows.length > 0) scope(() => this.applyMissed(this.params.get(name)!, state, behind));
  }

  /** What the updates missed would have done to these rows of p, m and v. */
  private applyMissed(p: Tensor, { m, v, lrScale }: Omit<Moments, 'lastStep'>, { rows, since }: Behind): void {
    const factors = new Float32Array(rows.length * 4);
    const known = new Map<number, readonly number[]>();
    since.forEach((step, u) => {
      let four = known.get(step);
      if (!four) known.set(step, (four = this.missed(step, lrScale)));
      factors.set(four, u * 4);
    });
    const on = { backend: p.backend };
    run('adamwCatchUp', [p, m, v, tensor(rows, undefined, on), tensor(factors, [rows.length, 4], on)], {});
  }

  /**
   * What the updates after number `since` did to a row that was not read: p shrinks by the first factor and moves by the fourth times
   * -m / sqrt(v); m and v shrink by the second and third.
   */
  private missed(since: number, lrScale: number): readonly [number, number, number, number] {
    const { beta1, beta2 } = this.options;
    const kept = this.kept.get(lrScale)!;
    const now = this.step;
    let drift = 0;
    let ratio = 1;
    for (let t = since + 1; t <= now && ratio > FADED; t++) {
      ratio *= beta1 / Math.sqrt(beta2);
      const correction = Math.sqrt(1 - integerPower(beta2, t)) / (1 - integerPower(beta1, t));
      drift += lrScale * this.rates[t - 1] * ratio * correction * (kept[now] / kept[t]);
    }
    const count = now - since;
    return [kept[now] / kept[since], integerPower(beta1, count), integerPower(beta2, count), drift];
  }

  /** One update. Every gradient is multiplied by `factor` (a scalar tensor) first. */
  update(gradients: ReadonlyMap<string, Gradient>, lr: number, factor: Tensor): void {
    for (const name of this.params.keys()) {
      if (!gradients.has(name)) throw new Error(`AdamW: no gradient for parameter ${name}`);
    }
    const step = this.step + 1;
    scope(() => {
      for (const [name, p] of this.params) {
        const g = gradients.get(name)!;
        const state = this.moments.get(name)!;
        const attrs = { ...this.options, lr: lr * state.lrScale, step };
        if ('ids' in g) {
          state.lastStep ??= new Int32Array(p.shape[0]).fill(step - 1);
          this.catchUp(name, g.ids);
          const ids = tensor(g.ids, undefined, { backend: p.backend });
          run('adamwRows', [p, state.m, state.v, ids, g.rows, factor], attrs);
          for (const id of g.ids) state.lastStep[id] = step;
        } else {
          // A table may get a dense gradient between sparse ones (a batch with more ids than rows): every row is read then.
          if (state.lastStep) this.catchUp(name, Int32Array.from(state.lastStep.keys()));
          run('adamw', [p, state.m, state.v, g, factor], attrs);
          state.lastStep?.fill(step);
        }
      }
    });
    this.note(lr);
  }

  private note(lr: number): void {
    this.rates.push(lr);
    const { weightDecay } = this.options;
    for (const [lrScale, kept] of this.kept) kept.push(kept.at(-1)! * (1 - lr * lrScale * weightDecay));
  }

  /**
   * The parameters as dense AdamW would have them: tables with rows that lag behind are copied, so that looking never changes the
   * run. Other parameters are the live tensors themselves.
   */
  settled(): Map<string, Tensor> {
    const settled = new Map(this.params);
    for (const [name, { m, v, lrScale, lastStep }] of this.moments) {
      if (!lastStep) continue;
      const behind = takeBehind(Int32Array.from(lastStep.keys()), lastStep.slice(), this.step);
      const p = scope(() => {
        const copy = copyOf(this.params.get(name)!);
        if (behind.rows.length > 0) this.applyMissed(copy, { m: copyOf(m), v: copyOf(v), lrScale }, behind);
        return copy;
      });
      settled.set(name, p);
    }
    return settled;
  }

  /** Everything needed to go on: tensors by name, and numbers. They are the optimiser's own: copy what is to be kept. */
  state(): AdamWState<Tensor> {
    const tensors = new Map<string, Tensor>();
    const rows = new Map<string, Int32Array>();
    for (const [name, s] of this.moments) {
      tensors.set(`m.${name}`, s.m).set(`v.${name}`, s.v);
      if (s.lastStep) rows.set(name, s.lastStep);
    }
    return { rates: Float64Array.from(this.rates), tensors, rows };
  }

  /** Continues from a saved state. @throws Error naming the first tensor that is missing or of another size */
  restore(state: AdamWState<Float32Array>): void {
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
      // Copies: the optimiser the state came from may go on.
      s.lastStep = state.rows.get(name)?.slice() ?? null;
    }
    this.rates = [];
    for (const lrScale of this.kept.keys()) this.kept.set(lrScale, [1]);
    for (const lr of state.rates) this.note(lr);
  }
}

export interface AdamWState<Values> {
  /** Learning rate of every update done. */
  readonly rates: Float64Array;
  /** First moments as `m.<name>`, second ones as `v.<name>`. */
  readonly tensors: ReadonlyMap<string, Values>;
  /** For each row of a table with row-sparse gradients, the update it has received last. */
  readonly rows: ReadonlyMap<string, Int32Array>;
}

/** Rows of a table, and the update each had last. */
interface Behind {
  readonly rows: Int32Array;
  readonly since: Int32Array;
}

/** The rows among `ids` that are behind `now`, each once and rising; they are marked as being at `now`. */
function takeBehind(ids: Int32Array, lastStep: Int32Array, now: number): Behind {
  const found = new Int32Array(ids.length);
  let behind = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i] >= 0 && lastStep[ids[i]] < now) found[behind++] = ids[i];
  const rows = found.subarray(0, behind).sort();
  const since = new Int32Array(behind);
  let count = 0;
  for (let i = 0; i < behind; i++) {
    const id = rows[i];
    if (lastStep[id] >= now) continue;
    since[count] = lastStep[id];
    rows[count++] = id;
    lastStep[id] = now;
  }
  return { rows: rows.subarray(0, count), since: since.subarray(0, count) };
}

/** An exponential moving average of parameters: average += (1 - decay) (p - average), with a shorter memory at first. */
export class WeightAverage {
  readonly average: Map<string, Tensor>;
  private readonly decay: number;

  constructor(params: object, decay: number) {
    if (!(decay >= 0 && decay < 1)) throw new RangeError(`ema decay must be in [0, 1), got ${decay}`);
    this.decay = decay;
    this.average = new Map(leaves(params).map(([name, p]) => [name, copyOf(p)] as const));
  }

  /** After update number `step` (from 1): the decay is at most (1 + step) / (10 + step). */
  update(params: object, step: number): void {
    const weight = 1 - Math.min(this.decay, (1 + step) / (10 + step));
    for (const [name, p] of leaves(params)) run('lerp', [this.average.get(name)!, p], { weight });
  }
}

/** A scalar 1: no clipping. */
export const unclipped = (like: Tensor): Tensor => full([], 1, { backend: like.backend });
