/**
 * @file Logistic mixing: the stretched probabilities of several models are added with weights, and the sum is squashed. That is a
 * logistic regression, learned online: after each bit w += rate * (bit - p) * x, the gradient of the coding cost.
 *
 * There is not one vector of weights but a set for each value of a small context, and several such contexts at once. Each chooses its
 * vector, each vector makes and learns its own prediction, and the mixture is the mean of them on the stretched line.
 * @see Mahoney 2005, PAQ6; Mattern 2012, Mixing strategies in data compression: why the logistic domain
 */
import { squash } from './logistic.ts';

/** No single prediction is surer than this, on the stretched line. */
const SUREST = 12;

export interface MixerOptions {
  /** Values of each context that chooses weights. */
  readonly selectors: readonly number[];
  /** The weights at the start, one for each input. */
  readonly start: readonly number[];
  /** Learning rate of a vector of weights that has learned nothing yet. It falls as rate / (1 + bits / halfLife). */
  readonly rate: number;
  readonly leastRate: number;
  readonly halfLife: number;
}

/** Learned weights for a few inputs. */
export class LogisticMixer {
  readonly inputs: number;
  /** [all values of all selectors, inputs] */
  readonly weights: Float64Array;
  /** Bits that each vector of weights has learned from. */
  readonly seen: Float64Array;
  private readonly begins: readonly number[];
  private readonly options: MixerOptions;

  constructor(options: MixerOptions) {
    const { selectors, start } = options;
    this.options = options;
    this.inputs = start.length;
    let vectors = 0;
    this.begins = selectors.map((values) => (vectors += values) - values);
    this.weights = Float64Array.from({ length: vectors * start.length }, (_, i) => start[i % start.length]);
    this.seen = new Float64Array(vectors);
  }

  /** The same weights in a mixer of their own. */
  copy(): LogisticMixer {
    const other = new LogisticMixer(this.options);
    other.weights.set(this.weights);
    other.seen.set(this.seen);
    return other;
  }

  /** Contexts that choose weights. */
  get selectors(): number {
    return this.begins.length;
  }

  /**
   * The mixture on the stretched line.
   * @param x the inputs, from `at` on   @param chosen the value of each selector, from `first` on
   * @param dots receives the prediction of each chosen vector, from `first` on
   */
  mix(x: Float64Array, at: number, chosen: Int32Array, first: number, dots: Float64Array): number {
    const { inputs, weights, begins } = this;
    let sum = 0;
    for (let s = 0; s < begins.length; s++) {
      const w = (begins[s] + chosen[first + s]) * inputs;
      let dot = 0;
      for (let i = 0; i < inputs; i++) dot += weights[w + i] * x[at + i];
      dots[first + s] = Math.max(-SUREST, Math.min(SUREST, dot));
      sum += dots[first + s];
    }
    return sum / begins.length;
  }

  /** Learns from the bit that followed. The arguments are those of `mix`. */
  learn(x: Float64Array, at: number, chosen: Int32Array, first: number, dots: Float64Array, bit: number): void {
    const { inputs, weights, seen, begins } = this;
    const { rate, leastRate, halfLife } = this.options;
    for (let s = 0; s < begins.length; s++) {
      const vector = begins[s] + chosen[first + s];
      const step = Math.max(leastRate, rate / (1 + seen[vector]++ / halfLife)) * (bit - squash(dots[first + s]));
      const w = vector * inputs;
      for (let i = 0; i < inputs; i++) weights[w + i] += step * x[at + i];
    }
  }
}
