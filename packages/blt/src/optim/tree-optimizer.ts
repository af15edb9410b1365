/** @file The common part of the optimisers that are made of ordinary operations: parameters by name, buffers, and a saved state. */
import { mul, scatterAddRows } from '@blt-ts/autograd';
import { checkOptions, full, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { checkGradients, consumeGradients, type Gradient, type Gradients, namedGradients } from './gradients.ts';
import { rateOf } from './learning-rate.ts';
import { namedParameters } from './named-parameters.ts';
import { checkGroups, groupOf, type ParameterGroup } from './parameter-groups.ts';
import { checkBuffer } from './saved-state.ts';

/** Everything an optimiser needs to go on. */
export interface OptimizerState<Values> {
  /** Updates done. */
  readonly step: number;
  /** Buffers as `<kind>.<name of the parameter>`. */
  readonly tensors: ReadonlyMap<string, Values>;
}

/** A parameter on its way through an update. */
export interface Updated {
  readonly name: string;
  readonly p: Tensor;
  /** Its gradient, dense, multiplied by `scale`. */
  readonly g: Tensor;
  /** Learning rate of its group. */
  readonly lr: number;
  readonly weightDecay: number;
  /** Number of this update, from 1. */
  readonly step: number;
}

/** Writes the values of a tensor over those of another one of the same shape, where they are. */
export function overwriteWith(target: Tensor, values: Tensor): void {
  if (target.size === 0) return;
  const row = (x: Tensor) => run('reshape', [x], { shape: [1, x.size] })[0];
  run('writeRows', [row(target), tensor(Int32Array.of(0), [1], { backend: target.backend }), row(values)], {});
}

/** The rates of parameters whose group has none, for steps that are given none. */
export interface UsualRates {
  readonly lr?: number;
  readonly weightDecay: number;
}

/** An optimiser over any tree of parameters. Subclasses say how one parameter is updated. */
export abstract class TreeOptimizer {
  protected readonly params: ReadonlyMap<string, Tensor>;
  protected readonly groups: readonly ParameterGroup[];
  private readonly op: string;
  private readonly usual: UsualRates;
  private readonly buffers = new Map<string, Tensor>();
  private done = 0;

  /**
   * @param op how errors call the optimiser   @param kinds the buffers that it keeps for each parameter, which begin at 0
   * @throws TypeError for a parameter that is not f32 or has two names, or for groups that are none
   */
  protected constructor(
    op: string,
    params: object,
    usual: UsualRates,
    groups: readonly ParameterGroup[],
    kinds: (name: string, p: Tensor) => readonly string[],
  ) {
    checkGroups(op, groups);
    this.op = op;
    this.params = namedParameters(op, params);
    this.usual = usual;
    this.groups = groups;
    for (const [name, p] of this.params) {
      for (const kind of kinds(name, p)) this.buffers.set(`${kind}.${name}`, zeros(p.shape, { backend: p.backend }));
    }
  }

  /** Updates done. */
  get stepsDone(): number {
    return this.done;
  }

  /**
   * One update of every parameter, in place. It consumes the gradients: they are freed, unless somebody asked to `keep` them. With `scale`, a scalar tensor (see `clipFactor`), every gradient is multiplied by it first.
   * Rows of a table that a sparse gradient leaves out have the gradient 0. Nothing it makes on the way outlives it.
   * @param gradients the tree that `valueAndGrad` gave, or gradients by the name of the parameter
   * @param lr the learning rate of this step, that of the options unless given
   * @throws Error, TypeError, RangeError before anything is changed, for no learning rate, a scale that is no scalar, or naming the parameter
   *   that was freed, or whose gradient is missing, no gradient, freed, on another backend, of another shape or, on backends whose values can
   *   be read at once, not finite
   */
  step(gradients: Gradients, lr?: number, scaled: { readonly scale?: Tensor } = {}): void {
    checkOptions(`${this.op}: step`, scaled, ['scale']);
    const { scale } = scaled;
    const rate = rateOf(this.op, lr, this.usual.lr);
    scope(() => {
      const [first] = this.params.values();
      const factor = scale ?? full([], 1, { backend: first?.backend });
      const named = namedGradients(this.op, gradients);
      for (const updated of this.checkedUpdates(named, rate, factor)) {
        scope(() => {
          const dense = denseGradient(named.get(updated.name)!, updated.p);
          this.updateOne({ ...updated, g: scale ? mul(dense, scale) : dense });
        });
      }
    });
    this.finishStep(gradients);
  }

  /** The parameters with their rates in the next step. @throws as `step` */
  protected checkedUpdates(named: ReadonlyMap<string, Gradient>, rate: number, scale: Tensor): Omit<Updated, 'g'>[] {
    checkGradients(this.op, this.params, named, scale);
    return [...this.params].map(([name, p]) => {
      const { lrScale = 1, weightDecay = this.usual.weightDecay } = groupOf(this.groups, name);
      return { name, p, lr: rate * lrScale, weightDecay, step: this.done + 1 };
    });
  }

  /** The step has been carried out. */
  protected finishStep(gradients: Gradients): void {
    this.done++;
    consumeGradients(this.op, gradients);
  }

  /** Changes `p`, and the buffers, in place. */
  protected abstract updateOne(updated: Updated): void;

  protected buffer(kind: string, name: string): Tensor {
    return this.buffers.get(`${kind}.${name}`)!;
  }

  /** Everything needed to go on. The tensors are the optimiser's own: copy what is to be kept. */
  state(): OptimizerState<Tensor> {
    return { step: this.done, tensors: new Map(this.buffers) };
  }

  /** Continues from a saved state. @throws Error naming the first tensor that is missing or of another size; nothing is changed then */
  restore({ step, tensors }: OptimizerState<Float32Array>): void {
    for (const [key, target] of this.buffers) checkBuffer(tensors, key, target);
    for (const [key, target] of this.buffers) target.assign(tensors.get(key)!);
    this.done = step;
  }
}

function denseGradient(g: Gradient, p: Tensor): Tensor {
  if (!('ids' in g)) return g;
  return scatterAddRows(g.rows, tensor(g.ids, undefined, { backend: p.backend }), p.shape[0]);
}
