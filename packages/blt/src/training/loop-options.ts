/** @file The numbers that a training loop follows, and the numbers that it reports after each step. */
import type { DropoutRates } from '../model/dropout.ts';
import type { MuonPart } from '../optim/adamw-with-muon.ts';
import type { ParameterGroup } from '../optim/parameter-groups.ts';
import type { AdamWOptions } from '../optim/skipped-updates.ts';

/** Every number of a training loop. Learning rates are per update. */
export interface LoopOptions {
  /** Updates in all. */
  readonly steps: number;
  /** Rows of a batch. */
  readonly batchRows: number;
  /**
   * Rows of a forward and backward pass: a batch is cut into passes, which several cores can compute at once (`PassWorkers`). The bits depend
   * on it, and not on the number of cores. Left out, and in plans of version 0.1: a batch is one pass.
   */
  readonly passRows?: number;
  /** Batches per update; their gradients are averaged over all targets. */
  readonly accumulation: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Updates of linear warm-up. */
  readonly warmupSteps: number;
  /** The rate falls to lr * minRatio at the end. */
  readonly minRatio: number;
  /** Fall of the rate: along a cosine (default), or 'wsd': constant, then in a line over the last `decayFraction` (0.2) of the steps. */
  readonly schedule?: 'cosine' | 'wsd';
  readonly decayFraction?: number;
  /** Global norm above which a gradient is scaled down. */
  readonly gradClip: number;
  readonly adamw: AdamWOptions;
  /** The matrices that Muon updates in place of AdamW; null, and in plans of version 0.1: none. */
  readonly muon?: MuonPart | null;
  readonly dropout: DropoutRates;
  /** Decay of the averaged weights that are evaluated and saved; null: the weights themselves. */
  readonly ema: number | null;
  /** Treatment of a batch whose loss stands out; null: none. */
  readonly spike?: SpikeOptions | null;
  /** Parameters with a learning rate of their own. */
  readonly groups?: readonly ParameterGroup[];
  readonly seed: number;
}

/**
 * A batch spikes if its loss, in nats, is above `factor` times the moving average (memory 50 steps, from step 21 on), or is not a
 * number. 'skip': it is left out and the step is taken on the next batch. 'rewind': the same, and whoever drives the run is told, so
 * that it can go back to weights from before the trouble (`rewind`).
 */
export interface SpikeOptions {
  readonly action: 'skip' | 'rewind';
  readonly factor: number;
}

/** The figures of one update, or of a batch that was left out. */
export interface StepReport {
  /** Updates done, this one included. */
  readonly step: number;
  /** Mean cross-entropy of the step's targets, nats: sum / targets. BOS and EOS are targets, too. This mean is what is minimised. */
  readonly lossNats: number;
  /** lossNats * targets / (ln 2 * bytes): specials cost, but are not counted as bytes. Null if the step had no byte among its targets. */
  readonly bitsPerByte: number | null;
  /** Global norm of the gradient of the mean loss, before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  /** Bytes of text among the step's targets. */
  readonly bytes: number;
  /** All targets of the step, specials included: bytes + BOS + EOS. */
  readonly targets: number;
  /** True if the batch was left out: no update was done, and `step` is the one that is still to come. */
  readonly skipped: boolean;
}
