/** @file Stochastic gradient descent with momentum. */
import { add, affine, sub } from '@blt-ts/autograd';
import { checkOptions } from '@blt-ts/tensor';
import type { ParameterGroup } from './parameter-groups.ts';
import { overwriteWith, TreeOptimizer, type Updated } from './tree-optimizer.ts';

/** How `SGD` updates. */
export interface SGDOptions {
  /** Learning rate of a step that is given none. */
  readonly lr?: number;
  /** mu: share of the last step's velocity that is kept (default 0). */
  readonly momentum?: number;
  /** Steps along g + mu b instead of b (default false). */
  readonly nesterov?: boolean;
  /** lambda: lambda p is added to every gradient (default 0). */
  readonly weightDecay?: number;
}

/**
 * Stochastic gradient descent over any tree of parameters. With the gradient g:
 * g' = g + lambda p; b = mu b + g'; p = p - lr b, or with `nesterov` p = p - lr (g' + mu b). b begins at 0.
 *
 * ```ts
 * const sgd = new SGD(params, { lr: 0.1, momentum: 0.9 });
 * const { grads } = valueAndGrad(loss)(params);
 * sgd.step(grads); // or sgd.step(grads, 0.05), for a rate of this step
 * ```
 * @see Sutskever et al. 2013, eqs. 1 to 4, in PyTorch's form, where lr multiplies the velocity; `torch.optim.SGD`
 */
export class SGD extends TreeOptimizer {
  private readonly momentum: number;
  private readonly nesterov: boolean;

  /** @throws RangeError if momentum is not in [0, 1), or weightDecay is negative; Error for nesterov without momentum */
  constructor(params: object, options: SGDOptions = {}, groups: readonly ParameterGroup[] = []) {
    checkOptions('SGD', options, ['lr', 'momentum', 'nesterov', 'weightDecay']);
    const { lr, momentum = 0, nesterov = false, weightDecay = 0 } = options;
    if (!(momentum >= 0 && momentum < 1)) throw new RangeError(`SGD: momentum must be in [0, 1), got ${momentum}`);
    if (!(weightDecay >= 0)) throw new RangeError(`SGD: weightDecay must be 0 or more, got ${weightDecay}`);
    if (nesterov && momentum === 0) throw new Error('SGD: nesterov looks ahead along the momentum, which is 0; set it');
    super('SGD', params, { lr, weightDecay }, groups, () => (momentum > 0 ? ['velocity'] : []));
    this.momentum = momentum;
    this.nesterov = nesterov;
  }

  protected updateOne({ name, p, g, lr, weightDecay }: Updated): void {
    const decayed = weightDecay === 0 ? g : add(g, affine(p, weightDecay));
    let direction = decayed;
    if (this.momentum > 0) {
      const velocity = this.buffer('velocity', name);
      overwriteWith(velocity, add(affine(velocity, this.momentum), decayed));
      direction = this.nesterov ? add(decayed, affine(velocity, this.momentum)) : velocity;
    }
    overwriteWith(p, sub(p, affine(direction, lr)));
  }
}
