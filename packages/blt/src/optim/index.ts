/**
 * @file @blt-ts/blt/optim: optimisers over any tree of parameters, learning-rate schedules, and clipping. Nothing of the model is
 * imported with them.
 *
 * ```ts
 * import { AdamW, clipFactor, learningRateMultiplier } from '@blt-ts/blt/optim';
 * const optimizer = new AdamW(params, {}, [{ prefix: 'norm', weightDecay: 0 }]);
 * const schedule = { schedule: 'cosine', warmupSteps: 100, totalSteps: 1000 } as const;
 * for (let step = 0; step < 1000; step++) {
 *   scope(() => {
 *     const { grads } = valueAndGrad(loss)(params);
 *     const { factor } = clipFactor(grads, 1);
 *     optimizer.step(grads, 3e-4 * learningRateMultiplier(step, schedule), { scale: factor });
 *   });
 * }
 * ```
 */
export { Adam, type AdamOptions } from './adam.ts';
export { ADAMW_DEFAULTS, AdamW, type AdamWOptions, type AdamWState } from './adamw.ts';
export { AdamWWithMuon, type MuonPart } from './adamw-with-muon.ts';
export { addGradients, clipFactor, coalesce, type Gradient, type Gradients, gradientLeaves } from './gradients.ts';
export { Muon, type MuonOptions, orthogonalize, orthogonalizeFlops } from './muon.ts';
export type { ParameterGroup } from './parameter-groups.ts';
export { learningRateMultiplier, type Schedule, type ScheduleOptions } from './schedule.ts';
export { SGD, type SGDOptions } from './sgd.ts';
export { type OptimizerState, overwriteWith, TreeOptimizer, type Updated } from './tree-optimizer.ts';
