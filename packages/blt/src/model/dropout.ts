/** @file Dropout in five places of the model, with masks that depend on the seed alone. */
import { dropout } from '@blt-ts/autograd';
import { hash32, type Random, type Tensor } from '@blt-ts/tensor';

/** Probabilities of setting things to zero during training. */
export interface DropoutRates {
  /** Elements of the byte states that enter the encoder. */
  readonly embedding: number;
  /** Elements of what each attention and feed-forward layer adds to the residual stream. */
  readonly residual: number;
  /** Elements of the gated hidden layer inside each feed-forward layer. */
  readonly hidden: number;
  /** Elements of the states that enter the output layer. */
  readonly output: number;
  /** Whole rows of the hash tables: an n-gram's vector is missing at one position. */
  readonly hash: number;
}

/** No dropout anywhere. */
export const NO_DROPOUT: DropoutRates = { embedding: 0, residual: 0, hidden: 0, output: 0, hash: 0 };

/**
 * Dropout for one forward pass. Every call site draws its own seed from the stream, so the masks of a step are a function of
 * the stream's state before it, whatever the backend. @see Srivastava et al. 2014
 */
export class Dropout {
  private readonly rates: DropoutRates;
  private readonly random: Random;

  constructor(rates: DropoutRates, random: Random) {
    for (const [name, rate] of Object.entries(rates)) {
      if (!(rate >= 0 && rate < 1)) throw new RangeError(`dropout.${name} must be in [0, 1), got ${rate}`);
    }
    this.rates = rates;
    this.random = random;
  }

  /** The state of the stream, for `replay`. */
  mark(): number[] {
    return this.random.state();
  }

  /**
   * Runs `f` with the masks that the stream gives from `mark` on. The first time the stream moves on. When `f` is run again later, the
   * stream stands afterwards where it stood before.
   */
  replay<R>(mark: number[], f: () => R): R {
    const now = this.random.state();
    const first = now.every((word, i) => word === mark[i]);
    this.random.seek(mark);
    try {
      return f();
    } finally {
      if (!first) this.random.seek(now);
    }
  }

  embedding(x: Tensor): Tensor {
    return this.elements(x, this.rates.embedding);
  }

  residual(x: Tensor): Tensor {
    return this.elements(x, this.rates.residual);
  }

  hidden(x: Tensor): Tensor {
    return this.elements(x, this.rates.hidden);
  }

  output(x: Tensor): Tensor {
    return this.elements(x, this.rates.output);
  }

  /** Ids of hash rows with a share replaced by -1, which adds nothing; the factor keeps the mean of the sum. */
  hashRows(ids: Int32Array): { ids: Int32Array; factor: number } {
    const rate = this.rates.hash;
    if (rate === 0) return { ids, factor: 1 };
    const seed = this.random.uint32();
    const threshold = rate * 2 ** 32;
    return { ids: ids.map((id, i) => (hash32(seed, i) < threshold ? -1 : id)), factor: 1 / (1 - rate) };
  }

  private elements(x: Tensor, rate: number): Tensor {
    return rate === 0 ? x : dropout(x, rate, this.random.uint32());
  }
}
