/** @file AdamW over a tree of parameters, row-sparse where gradients are, and global-norm clipping. */
import { add, affine, type Cotangent, div, leaves, minimum, RowSparse, sqrt, sumSquares } from '@blt-ts/autograd';
import {
  checkIds,
  checkTensor,
  describe,
  formatShape,
  full,
  integerPower,
  run,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '@blt-ts/tensor';
import { copyOf } from '../model/parameters.ts';

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
    const factor = affine(minimum(div(maxNorm, affine(norm, 1, 1e-6)), 1), gradientScale);
    clipping.add(factor);
    return { norm, factor };
  });
}

/** Factors that `clipFactor` made. */
const clipping = new WeakSet<Tensor>();

/** Factors of a row in the kernel adamwCatchUp. */
const FACTORS = 5;

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
  readonly lrScale: number;
  /** For a table with row-sparse gradients: the update each row has received last, or has been brought up to. */
  lastStep: Int32Array | null;
}

/** How many values of a table are caught up at a time: where the table lies outside the kernels' memory, they are copied into it. */
const PIECE = 1 << 22;

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2), updating the parameters in place.
 *
 * A table with row-sparse gradients is updated in the rows that were read, so that a step's cost does not follow its size. What the
 * dense algorithm does to an unread row (weight decay, fading moments, and the drift along its fading momentum) is a function of the
 * rates since it was last read: `catchUp` does all of it at once, before the row is read again. Weight decay and moments are exactly
 * those of dense AdamW, up to rounding. The drift sums m_t / (sqrt(v_t) + eps) over the missed updates, where eps weighs more from
 * update to update as v_t fades; it is taken with one eps for all of them, so that it is right where eps is far below or far above
 * sqrt(v_t). In between, with gradients of about eps, it is off by less than a tenth (test/blt/training/adamw.test.ts).
 */
export class AdamW {
  readonly options: AdamWOptions;
  private readonly params: Map<string, Tensor>;
  private readonly moments = new Map<string, Moments>();
  /** rates[t-1]: learning rate of update t, before a group's scale */
  private rates: number[] = [];
  /** Bias corrections of update t, at t-1: 1 / (1 - beta1^t), and sqrt(1 - beta2^t). */
  private corrections: (readonly [first: number, second: number])[] = [];

  /** What `missed` gives, as long as the longest so far: a step leaves no garbage that grows with the run. */
  private factors = new Float32Array(0);

  /** @param groups learning rates of their own: every rate of `update` is multiplied by the scale of the parameter's group */
  constructor(params: object, options: AdamWOptions = ADAMW_DEFAULTS, groups: readonly ParameterGroup[] = []) {
    this.options = options;
    this.params = new Map(leaves(params));
    for (const [name, p] of this.params) {
      const like = { backend: p.backend };
      const lrScale = groups.find(({ prefix }) => name.startsWith(prefix))?.lrScale ?? 1;
      this.moments.set(name, { m: zeros(p.shape, like), v: zeros(p.shape, like), lrScale, lastStep: null });
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
    const p = this.params.get(name)!;
    for (const piece of this.missedBy(state, takeBehind(ids, state.lastStep, this.step), p)) {
      scope(() => void run('adamwCatchUp', [p, state.m, state.v, ...piece()], {}));
    }
  }

  /** The same for all rows of all tables: for those who look at every weight after each step. */
  catchUpAll(): void {
    for (const [name, { lastStep }] of this.moments) {
      if (lastStep) this.catchUp(name, Int32Array.from(lastStep.keys()));
    }
  }

  /** Rows that lag behind, in pieces of bounded size: makers of ids and factors, what the updates they missed did to them. */
  private *missedBy(
    { lrScale }: Moments,
    { rows, since }: Behind,
    like: Tensor,
  ): Generator<() => [ids: Tensor, factors: Tensor]> {
    if (rows.length === 0) return;
    const on = { backend: like.backend };
    const byAge = this.missed(
      since.reduce((a, b) => Math.min(a, b)),
      lrScale,
    );
    const most = Math.max(1, Math.floor(PIECE / like.shape[1]));
    for (let begin = 0; begin < rows.length; begin += most) {
      const end = Math.min(begin + most, rows.length);
      const factors = new Float32Array((end - begin) * FACTORS);
      for (let u = begin; u < end; u++) {
        const age = this.step - since[u];
        for (let f = 0; f < FACTORS; f++) factors[(u - begin) * FACTORS + f] = byAge[age * FACTORS + f];
      }
      yield () => [tensor(rows.subarray(begin, end), undefined, on), tensor(factors, [end - begin, FACTORS], on)];
    }
  }

  /**
   * What the last 0, 1, 2, ... updates did to a row that they did not read, back to those after number `since`, five factors each: what
   * is left of p, of m and of v; p moves by the fourth times -m / (sqrt(v) + the fifth). One pass over the rates from the last on:
   * with w_t = rate_t correction_t (what weight decay leaves after t) and r = beta1 / sqrt(beta2), drift(s) = sum over t > s of
   * w_t r^(t-s) = r (w_(s+1) + drift(s+1)).
   */
  private missed(since: number, lrScale: number): Float32Array {
    const { beta1, beta2, eps, weightDecay } = this.options;
    const now = this.step;
    const size = (now - since + 1) * FACTORS;
    if (this.factors.length < size) this.factors = new Float32Array(2 * size);
    const { factors } = this;
    let [keepP, keepM, keepV] = [1, 1, 1];
    // The drift without eps, and with nothing but eps below the fraction (times eps).
    let [drift, ifEps] = [0, 0];
    const ratio = beta1 / Math.sqrt(beta2);
    for (let t = now, at = 0; ; t--) {
      factors[at++] = keepP;
      factors[at++] = keepM;
      factors[at++] = keepV;
      factors[at++] = drift;
      factors[at++] = ifEps > 0 ? (eps * drift) / ifEps : eps;
      if (t === since) return factors;
      const rate = lrScale * this.rates[t - 1];
      const [first, second] = this.corrections[t - 1];
      drift = ratio * (rate * first * second * keepP + drift);
      ifEps = beta1 * (rate * first * keepP + ifEps);
      keepP *= 1 - rate * weightDecay;
      keepM *= beta1;
      keepV *= beta2;
    }
  }

  /**
   * One update. Every gradient is multiplied by `factor` (a scalar tensor) first.
   * @param gradients by the name of the parameter: `coalesce(new Map(gradientLeaves(grads)))`
   * @throws Error, TypeError, RangeError before anything is changed, naming the parameter whose gradient is missing, no gradient, of
   *   another shape or, on backends whose values can be read at once, not finite
   */
  update(gradients: ReadonlyMap<string, Gradient>, lr: number, factor: Tensor): void {
    this.check(gradients, factor);
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

  private check(gradients: ReadonlyMap<string, Gradient>, factor: Tensor): void {
    if (!(gradients instanceof Map)) {
      throw new TypeError(
        `AdamW: gradients are a Map from names to gradients, got ${describe(gradients)}; coalesce(new Map(gradientLeaves(grads))) makes one`,
      );
    }
    checkTensor('AdamW: factor', factor);
    for (const [name, p] of this.params) {
      const g: unknown = gradients.get(name);
      if (g === undefined) throw new Error(`AdamW: no gradient for parameter ${name}`);
      if (g instanceof RowSparse)
        throw new TypeError(`AdamW: the gradient of ${name} is a RowSparse; coalesce it first`);
      const sparse = typeof g === 'object' && g !== null && 'ids' in g && 'rows' in g;
      const { ids, rows } = (sparse ? g : { ids: undefined, rows: g }) as { ids?: Int32Array; rows: Tensor };
      checkTensor(`AdamW: the gradient of ${name}`, rows);
      const shape = ids ? [ids.length, ...p.shape.slice(1)] : p.shape;
      if (formatShape(rows.shape) !== formatShape(shape)) {
        throw new RangeError(
          `AdamW: the gradient of ${name} has shape ${formatShape(rows.shape)}, it must have ${formatShape(shape)}`,
        );
      }
      if (ids) checkIds(`AdamW: ${name}`, ids, p.shape[0]);
    }
    if (!factor.backend.synchronous) return;
    const scale = factor.item();
    // A factor from `clipFactor` has seen them all: it is NaN for NaN, and 0 for what is infinite.
    if (clipping.has(factor) && scale > 0) return;
    for (const [name, g] of gradients) {
      const squares = scope(() => sumSquares('ids' in g ? g.rows : g).item());
      if (!Number.isFinite(squares)) {
        throw new RangeError(`AdamW: the gradient of ${name} is not finite (the sum of its squares is ${squares})`);
      }
    }
    if (!Number.isFinite(scale)) throw new RangeError(`AdamW: the factor of all gradients is ${scale}`);
  }

  private note(lr: number): void {
    this.rates.push(lr);
    const { beta1, beta2 } = this.options;
    const t = this.step;
    this.corrections.push([1 / (1 - integerPower(beta1, t)), Math.sqrt(1 - integerPower(beta2, t))]);
  }

  /**
   * The parameters as dense AdamW would have them: tables with rows that lag behind are copied, so that looking never changes the
   * run. Other parameters are the live tensors themselves.
   */
  settled(): Map<string, Tensor> {
    const settled = new Map(this.params);
    for (const [name, state] of this.moments) {
      const { m, v, lastStep } = state;
      if (!lastStep) continue;
      const p = this.params.get(name)!;
      const copy = copyOf(p);
      const behind = takeBehind(Int32Array.from(lastStep.keys()), lastStep.slice(), this.step);
      for (const piece of this.missedBy(state, behind, p)) {
        scope(() => {
          const [ids, factors] = piece();
          const rows = [p, m, v].map((table) => run('gatherRows', [table, ids], {})[0]);
          const places = tensor(
            Int32Array.from({ length: ids.size }, (_, u) => u),
            undefined,
            { backend: p.backend },
          );
          run('adamwCatchUp', [...rows, places, factors], {});
          run('writeRows', [copy, ids, rows[0]], {});
        });
      }
      settled.set(name, copy);
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
    this.corrections = [];
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
