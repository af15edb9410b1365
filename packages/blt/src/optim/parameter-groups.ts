/** @file Groups of parameters, which are trained at rates of their own. */
import { checkOptions, describe } from '@blt-ts/tensor';

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

/**
 * @param op how errors call the optimiser
 * @throws TypeError for what is no list, a field that there is not, or a prefix that is no text; RangeError for a rate that is negative or not finite
 */
export function checkGroups(op: string, groups: readonly ParameterGroup[]): void {
  if (!Array.isArray(groups)) {
    throw new TypeError(
      `${op}: parameter groups are a list such as [{ prefix: 'norm', weightDecay: 0 }], got ${describe(groups)}`,
    );
  }
  for (const group of groups) {
    checkOptions(`${op}: a parameter group`, group, ['prefix', 'lrScale', 'weightDecay', 'muon']);
    const { prefix, lrScale = 1, weightDecay = 0 } = group;
    if (typeof prefix !== 'string') {
      throw new TypeError(`${op}: the prefix of a parameter group must be a text, got ${describe(prefix)}`);
    }
    for (const [name, value] of Object.entries({ lrScale, weightDecay })) {
      if (value >= 0 && value < Number.POSITIVE_INFINITY) continue;
      throw new RangeError(`${op}: ${name} of the group "${prefix}" must be a finite number from 0 on, got ${value}`);
    }
  }
}

const fits = (name: string, prefix: string): boolean =>
  name.startsWith(prefix) && !/\d\d/.test((prefix.at(-1) ?? '') + (name[prefix.length] ?? ''));

/** The first group that fits a name; an empty one if none does. */
export const groupOf = (groups: readonly ParameterGroup[], name: string): Omit<ParameterGroup, 'prefix'> =>
  groups.find(({ prefix }) => fits(name, prefix)) ?? {};
