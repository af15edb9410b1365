/** @file Adam. */
import { add, affine } from '@blt-ts/autograd';
import { checkOptions, full, run } from '@blt-ts/tensor';
import type { ParameterGroup } from './parameter-groups.ts';
import { TreeOptimizer, type Updated } from './tree-optimizer.ts';

/** How `Adam` updates. */
export interface AdamOptions {
  /** Learning rate of a step that is given none. */
  readonly lr?: number;
  /** Decay of the first moment (default 0.9). */
  readonly beta1?: number;
  /** Decay of the second moment (default 0.999). */
  readonly beta2?: number;
  /** Added to the root of the second moment (default 1e-8). */
  readonly eps?: number;
  /** lambda: lambda p is added to every gradient (default 0). `AdamW` decays the parameters themselves instead. */
  readonly weightDecay?: number;
}

/**
 * Adam over any tree of parameters. With g' = g + lambda p, at update t = 1, 2, ...:
 * m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; p = p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).
 * @see Kingma & Ba 2015, algorithm 1
 */
export class Adam extends TreeOptimizer {
  private readonly options: { readonly beta1: number; readonly beta2: number; readonly eps: number };

  /** @throws RangeError if a beta is not in [0, 1), or eps or weightDecay is negative */
  constructor(params: object, options: AdamOptions = {}, groups: readonly ParameterGroup[] = []) {
    checkOptions('Adam', options, ['lr', 'beta1', 'beta2', 'eps', 'weightDecay']);
    const { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = options;
    checkConstants('Adam', { beta1, beta2, eps, weightDecay });
    super('Adam', params, { lr, weightDecay }, groups, () => ['m', 'v']);
    this.options = { beta1, beta2, eps };
  }

  protected updateOne({ name, p, g, lr, weightDecay, step }: Updated): void {
    const decayed = weightDecay === 0 ? g : add(g, affine(p, weightDecay));
    const one = full([], 1, { backend: p.backend });
    const ins = [p, this.buffer('m', name), this.buffer('v', name), decayed, one];
    run('adamw', ins, { ...this.options, weightDecay: 0, lr, step });
  }
}

/** @throws RangeError naming the first constant out of range */
export function checkConstants(
  op: string,
  { beta1, beta2, eps, weightDecay }: Readonly<Record<'beta1' | 'beta2' | 'eps' | 'weightDecay', number>>,
): void {
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (!(beta >= 0 && beta < 1)) throw new RangeError(`${op}: ${name} must be in [0, 1), got ${beta}`);
  }
  for (const [name, value] of Object.entries({ eps, weightDecay })) {
    if (!(value >= 0)) throw new RangeError(`${op}: ${name} must be 0 or more, got ${value}`);
  }
}
