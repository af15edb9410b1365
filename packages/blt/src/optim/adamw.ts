/** @file AdamW over a tree of parameters. Tables with row-sparse gradients are updated in the rows that a step reads. */
import { checkOptions, full, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { copyOf } from '../copy.ts';
import { checkConstants } from './adam.ts';
import { checkGradients, consumeGradients, type Gradient, type Gradients, namedGradients } from './gradients.ts';
import { rateOf } from './learning-rate.ts';
import { namedParameters } from './named-parameters.ts';
import { checkGroups, groupOf, type ParameterGroup } from './parameter-groups.ts';
import { checkBuffer } from './saved-state.ts';
import { type AdamWOptions, SkippedUpdates, takeRowsBehind } from './skipped-updates.ts';

export type { AdamWOptions } from './skipped-updates.ts';

/** The values of Pagnoni et al. 2024: beta1 0.9, beta2 0.95, eps 1e-8, weight decay 0.1. PyTorch has 0.999 and 0.01. */
export const ADAMW_DEFAULTS: AdamWOptions = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
  readonly lrScale: number;
  readonly weightDecay: number;
  /** For a table with row-sparse gradients: the update each row has received last, or has been brought up to. */
  lastStep: Int32Array | null;
}

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2), updating the parameters in place.
 *
 * A table with row-sparse gradients is updated in the rows that were read, so that a step's cost does not follow its size. What the
 * dense algorithm does to an unread row (weight decay, fading moments, and the drift along its fading momentum) is a function of the
 * rates since it was last read: `catchUp` does all of it at once, before the row is read again. Weight decay and moments are exactly
 * those of dense AdamW, up to rounding. The drift sums m_t / (sqrt(v_t) + eps) over the skipped updates, where eps weighs more from
 * update to update as v_t fades. It is computed with one eps for all of them, so that it is right where eps is far below or far above
 * sqrt(v_t). In between, with gradients of about eps, it is off by less than a tenth (test/blt/optim/adamw.test.ts).
 */
export class AdamW {
  readonly options: AdamWOptions;
  private readonly params: Map<string, Tensor>;
  private readonly moments = new Map<string, Moments>();
  private readonly skipped: SkippedUpdates;
  private readonly lr: number | undefined;

  /**
   * @param options `lr`, the learning rate of a step that is given none, and constants other than `ADAMW_DEFAULTS`
   * @param groups learning rates and weight decays of their own, see `ParameterGroup`
   * @throws TypeError for an option that there is not, a parameter that is not f32 or has two names; RangeError for an option out of range
   */
  constructor(
    params: object,
    { lr, ...constants }: Partial<AdamWOptions> & { readonly lr?: number } = {},
    groups: readonly ParameterGroup[] = [],
  ) {
    checkOptions('AdamW', constants, Object.keys(ADAMW_DEFAULTS));
    const given = Object.entries(constants).filter(([, value]) => value !== undefined);
    const options: AdamWOptions = { ...ADAMW_DEFAULTS, ...Object.fromEntries(given) };
    checkConstants('AdamW', options);
    checkGroups('AdamW', groups);
    this.options = options;
    this.lr = lr;
    this.skipped = new SkippedUpdates(options);
    this.params = namedParameters('AdamW', params);
    for (const [name, p] of this.params) {
      const like = { backend: p.backend };
      const { lrScale = 1, weightDecay = options.weightDecay } = groupOf(groups, name);
      const [m, v] = [zeros(p.shape, like), zeros(p.shape, like)];
      this.moments.set(name, { m, v, lrScale, weightDecay, lastStep: null });
    }
  }

  /** Updates done. */
  get stepsDone(): number {
    return this.skipped.step;
  }

  /**
   * Brings rows of a table to where dense AdamW would have them by now. Call it with the rows a step will read, before the forward
   * pass; ids may repeat, negative ones are passed over. Tables without row-sparse gradients so far are up to date anyway.
   */
  catchUp(name: string, ids: Int32Array): void {
    const state = this.moments.get(name);
    if (!state?.lastStep) return;
    const p = this.params.get(name)!;
    const behind = takeRowsBehind(ids, state.lastStep, this.stepsDone);
    for (const piece of this.skipped.of(behind, state, p)) {
      scope(() => void run('adamwCatchUp', [p, state.m, state.v, ...piece()], {}));
    }
  }

  /** Brings all rows of all tables up to date, for averages over every weight of every step. */
  catchUpAll(): void {
    for (const [name, { lastStep }] of this.moments) {
      if (lastStep) this.catchUp(name, Int32Array.from(lastStep.keys()));
    }
  }

  /**
   * One update, which consumes the gradients: they are freed, unless somebody asked to `keep` them. With `scale`, a scalar tensor (see
   * `clipFactor`), every gradient is multiplied by it first.
   * @param gradients the tree that `valueAndGrad` gave, or gradients by the name of the parameter, as `coalesce` makes them
   * @param lr the learning rate of this step, that of the options unless given
   * @throws Error, TypeError, RangeError before anything is changed, for no learning rate, a scale that is no scalar, or naming the parameter
   *   that was freed, or whose gradient is missing, no gradient, freed, on another backend, of another shape or, on backends whose values can
   *   be read at once, not finite
   */
  step(gradients: Gradients, lr?: number, scaled: { readonly scale?: Tensor } = {}): void {
    checkOptions('AdamW: step', scaled, ['scale']);
    const { scale } = scaled;
    const rate = rateOf('AdamW', lr, this.lr);
    const step = this.stepsDone + 1;
    scope(() => {
      const factor = scale ?? this.one();
      const named = namedGradients('AdamW', gradients);
      this.checkStep(named, factor);
      for (const [name, p] of this.params) {
        const g = named.get(name)!;
        const state = this.moments.get(name)!;
        const attrs = { ...this.options, lr: rate * state.lrScale, weightDecay: state.weightDecay, step };
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
    this.skipped.record(rate);
    consumeGradients('AdamW', gradients);
  }

  private one(): Tensor {
    const [first] = this.params.values();
    return full([], 1, { backend: first?.backend });
  }

  /** Throws what `step` would for these gradients, and changes nothing. */
  checkStep(gradients: ReadonlyMap<string, Gradient>, scale?: Tensor): void {
    scope(() => checkGradients('AdamW', this.params, gradients, scale ?? this.one()));
    if ([...gradients.values()].some((g) => 'ids' in g)) checkDrift(this.options);
  }

  /**
   * The parameters as dense AdamW would have them: tables with rows that lag behind are copied, so that looking never changes the
   * run. Other parameters are the live tensors themselves.
   */
  caughtUp(): Map<string, Tensor> {
    const caughtUp = new Map(this.params);
    for (const [name, state] of this.moments) {
      const { m, v, lastStep } = state;
      if (!lastStep) continue;
      const p = this.params.get(name)!;
      const copy = copyOf(p);
      const behind = takeRowsBehind(Int32Array.from(lastStep.keys()), lastStep.slice(), this.stepsDone);
      for (const piece of this.skipped.of(behind, state, p)) {
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
      caughtUp.set(name, copy);
    }
    return caughtUp;
  }

  /** Everything needed to go on: tensors by name, and numbers. They are the optimiser's own: copy what is to be kept. */
  state(): AdamWState<Tensor> {
    const tensors = new Map<string, Tensor>();
    const rows = new Map<string, Int32Array>();
    for (const [name, s] of this.moments) {
      tensors.set(`m.${name}`, s.m).set(`v.${name}`, s.v);
      if (s.lastStep) rows.set(name, s.lastStep);
    }
    return { rates: this.skipped.history(), tensors, rows };
  }

  /** @throws Error naming the first tensor that a saved state lacks or that has another size */
  checkState(state: AdamWState<Float32Array>): void {
    for (const [name, { m, v }] of this.moments) {
      checkBuffer(state.tensors, `m.${name}`, m);
      checkBuffer(state.tensors, `v.${name}`, v);
    }
  }

  /** Continues from a saved state. @throws Error naming the first tensor that is missing or of another size; nothing is changed then */
  restore(state: AdamWState<Float32Array>): void {
    this.checkState(state);
    for (const [name, s] of this.moments) {
      s.m.assign(state.tensors.get(`m.${name}`)!);
      s.v.assign(state.tensors.get(`v.${name}`)!);
      // Copies: the optimiser the state came from may go on.
      s.lastStep = state.rows.get(name)?.slice() ?? null;
    }
    this.skipped.restore(state.rates);
  }
}

/** Everything that AdamW needs to go on. */
export interface AdamWState<Values> {
  /** Learning rate of every update done. */
  readonly rates: Float64Array;
  /** First moments as `m.<name>`, second ones as `v.<name>`. */
  readonly tensors: ReadonlyMap<string, Values>;
  /** For each row of a table with row-sparse gradients, the update it has received last. */
  readonly rows: ReadonlyMap<string, Int32Array>;
}

/** Without this bound the drift of a row that is not read grows from update to update, by beta1 / sqrt(beta2). @throws RangeError */
export function checkDrift({ beta1, beta2 }: Pick<AdamWOptions, 'beta1' | 'beta2'>): void {
  if (beta2 > beta1 * beta1) return;
  throw new RangeError(
    `AdamW: beta2 must be above beta1 squared (${(beta1 * beta1).toFixed(4)}) for tables with row-sparse gradients, got ${beta2}`,
  );
}
