/** @file Groups of parameters, which are trained at rates of their own. */

/** Parameters whose name starts with `prefix`. A number at its end is a whole one: `layers.1` is not `layers.10`. The first group that fits counts. */
export interface ParameterGroup {
  readonly prefix: string;
  /** Every learning rate of `step` is multiplied by it (default 1). 0 keeps the parameters as they are. */
  readonly lrScale?: number;
  /** Instead of the optimiser's own weight decay. Norms and biases are often given 0. */
  readonly weightDecay?: number;
  /** Muon alone: false trains the matrices of the group with AdamW, as embeddings and output layers should be. */
  readonly muon?: boolean;
}

const fits = (name: string, prefix: string): boolean =>
  name.startsWith(prefix) && !/\d\d/.test((prefix.at(-1) ?? '') + (name[prefix.length] ?? ''));

/** The first group that fits a name; an empty one if none does. */
export const groupOf = (groups: readonly ParameterGroup[], name: string): Omit<ParameterGroup, 'prefix'> =>
  groups.find(({ prefix }) => fits(name, prefix)) ?? {};
