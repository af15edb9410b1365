/** @file Averaged weights, which generalise better than the last ones. */
import { leaves } from '@blt-ts/autograd';
import { run, type Tensor } from '@blt-ts/tensor';
import { copyOf } from '../copy.ts';

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
