/** @file A model ready to use: what `generate`, `Decoder`, saving and tracing work on. */
import type { BltConfig } from './config.ts';
import type { BltParams, EntropyModelParams } from './parameters.ts';

/** A latent transformer with its configuration, and the entropy model that cuts its patches. */
export interface Checkpoint {
  readonly config: BltConfig;
  readonly params: BltParams;
  /** null where the configuration has no entropy model */
  readonly patcher: EntropyModelParams | null;
}
