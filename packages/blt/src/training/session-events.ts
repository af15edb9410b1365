/** @file The phases of a run and the events it reports, for whoever drives it. */

import type { Evaluation, Progress } from './evaluation.ts';
import type { StepReport } from './loop-options.ts';

/** The entropy model is trained, the corpus is cut into patches, the latent transformer is trained. */
export type Phase = 'entropy model' | 'patching' | 'model' | 'done';

/** A piece of work that `Session.next` has just done. */
export type SessionEvent =
  /** A good moment to save, because the next work may take long. */
  | { readonly kind: 'milestone' }
  | { readonly kind: 'progress'; readonly work: 'scoring' | 'evaluation'; readonly progress: Progress }
  | { readonly kind: 'step'; readonly phase: 'entropy model' | 'model'; readonly report: StepReport }
  | { readonly kind: 'entropy model'; readonly evaluation: Evaluation | null }
  | {
      readonly kind: 'patched';
      readonly threshold: number | null;
      /** Bytes of the training text / patches: patches * meanPatchBytes = bytes. */
      readonly meanPatchBytes: number;
      readonly patches: number;
    }
  | {
      readonly kind: 'evaluation';
      readonly step: number;
      readonly evaluation: Evaluation;
      /** The best so far: save it. */
      readonly best: boolean;
      /** Evaluations since the best. */
      readonly stale: number;
    }
  | { readonly kind: 'done'; readonly reason: 'steps' | 'patience' | 'asked' };
