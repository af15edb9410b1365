/** @file Groups of parameters, which are trained at rates of their own. */

/** Parameters whose name starts with `prefix`. The first group that fits a name counts. */
export interface ParameterGroup {
  readonly prefix: string;
  /** Every learning rate of `update` is multiplied by it (default 1). 0 keeps the parameters as they are. */
  readonly lrScale?: number;
  /** Instead of the optimiser's own weight decay. Norms and biases are often given 0. */
  readonly weightDecay?: number;
  /** Muon alone: false trains the matrices of the group with AdamW, as embeddings and output layers should be. */
  readonly muon?: boolean;
}

/** The first group that fits a name; an empty one if none does. */
export const groupOf = (groups: readonly ParameterGroup[], name: string): Omit<ParameterGroup, 'prefix'> =>
  groups.find(({ prefix }) => name.startsWith(prefix)) ?? {};
