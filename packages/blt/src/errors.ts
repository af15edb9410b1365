/** @file The errors of this package. Each message names the thing, its value, and the fix. */

/** A configuration that makes no sense. The message names the key, the value and the fix. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** While decoding, sequences have more patches than the global transformer has positions for. Nothing of this pass was read. */
export class TooManyPatchesError extends ConfigError {
  /** Indices of these sequences. */
  readonly sequences: readonly number[];

  constructor(message: string, sequences: readonly number[]) {
    super(message);
    this.sequences = sequences;
  }
}

/** A loss, a gradient or an entropy is not a finite number, so nothing that follows from it can be used. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/** A worker that computes passes of the training has ended or failed. The weights are those after the last step. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
}

/** An archive that cannot be opened: damaged, cut off, or made with another model. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}
