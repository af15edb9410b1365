import type { KernelName } from '@blt-ts/tensor';
import { elementwiseRules } from './ops/elementwise.ts';
import { matmulRules } from './ops/matmul.ts';
import { networkRules } from './ops/network.ts';
import { reduceRules } from './ops/reduce.ts';
import { rowRules } from './ops/rows.ts';
import { shapeRules } from './ops/shape.ts';
import type { Rules } from './rule.ts';

const inPlace = (): never => {
  throw new Error('an in-place kernel has no gradient');
};

/** Every kernel's rule. A kernel without one does not compile. */
export const rules: Rules<KernelName> = {
  ...elementwiseRules,
  ...reduceRules,
  ...shapeRules,
  ...matmulRules,
  ...rowRules,
  ...networkRules,
  adamw: inPlace,
  adamwRows: inPlace,
  adamwCatchUp: inPlace,
  lerp: inPlace,
  writeRows: inPlace,
};
