/** @file Drawing the ids of one generated text from its own random numbers, and finding its stop text. */
import { Random } from '@blt-ts/tensor';
import { BOE, BOS, BPE, EOS } from '../patching/vocabulary.ts';
import { type SamplingOptions, sampleLogits } from './sampling.ts';

/** How the ids of one text are drawn. */
export interface SamplerOptions extends SamplingOptions {
  /** Seed of the sampling (default 0): same seed, same text. */
  readonly seed?: number;
  /** Go on after the model says that the document ends (default false). */
  readonly ignoreEos?: boolean;
}

/**
 * Draws the ids of one text. The n-th id is drawn with the n-th uniform number of the seed, however often its logits are computed:
 * drafts and their checks agree wherever their logits do.
 */
export class Sampler {
  private readonly options: SamplerOptions;
  private readonly random: Random;
  private readonly uniforms: number[] = [];
  /** The logits of a draw, those of ids that are never drawn set to -Infinity. */
  private allowed = new Float32Array(0);

  constructor(options: SamplerOptions, stream = 0) {
    this.options = options;
    const random = new Random(options.seed ?? 0);
    this.random = stream === 0 ? random : random.fork(`text ${stream}`);
  }

  /** The id at place n (0 = the first one made); EOS where the document ends. */
  draw(logits: Float32Array, n: number): number {
    if (this.allowed.length !== logits.length) this.allowed = new Float32Array(logits.length);
    const { allowed } = this;
    allowed.set(logits);
    for (const special of [BOE, BOS, BPE]) allowed[special] = Number.NEGATIVE_INFINITY;
    if (this.options.ignoreEos) allowed[EOS] = Number.NEGATIVE_INFINITY;
    return sampleLogits(allowed, this.options, () => {
      while (this.uniforms.length <= n) this.uniforms.push(this.random.uniform());
      return this.uniforms[n];
    });
  }
}

/** A function that is told each byte and says when the text ends with `stop`. */
export function stopsAfter(stop: Uint8Array | null): (byte: number) => boolean {
  const tail: number[] = [];
  return (byte) => {
    if (stop === null || stop.length === 0) return false;
    tail.push(byte);
    if (tail.length > stop.length) tail.shift();
    return tail.length === stop.length && tail.every((b, i) => b === stop[i]);
  };
}
