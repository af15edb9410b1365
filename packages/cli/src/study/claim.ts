/** @file A claim of the pre-registration: the runs that it needs, its figure and its rule. */
import type { Evidence, Need } from './evidence.ts';

/** Open: neither the rule that confirms nor the one that refutes applies. */
export type Decision = 'confirmed' | 'refuted' | 'open';

/** The figure of a claim, and what follows from it. */
export interface Finding {
  /** With its 95 % interval, in words. */
  readonly figure: string;
  /** Sentences that the rule asks for beside it. */
  readonly notes: readonly string[];
  /** By the registered rule, with intervals that miss with the probability `error`. Where a rule names no interval the estimate decides. */
  decide(error: number): Decision;
}

/** A registered claim. */
export interface Claim {
  readonly number: number;
  readonly title: string;
  readonly needs: readonly Need[];
  /** Arms whose best rate must lie between others before anything is decided. */
  readonly tuned: readonly string[];
  /** Only called when all needs are met. */
  find(evidence: Evidence): Finding;
}
