/** @file Patches of another length than planned: the threshold of another text, on a text that is harder or easier. */
import type { RunPlan } from '@blt-ts/blt';

/** A mean patch so many times shorter or longer than planned is told. */
const FAR = 2;

/**
 * A sentence about patches that are far from the planned length, with the remedy; null where they are not. A threshold that was found
 * on the text itself gives the planned length as nearly as it can, so nothing is said about one.
 * @param meanPatchBytes mean patch of the training text, in bytes
 */
export function foreignPatches(plan: RunPlan, meanPatchBytes: number): string | null {
  const { maxRowBytes, patchesPerRow } = plan.model;
  if (plan.config.patching.mode !== 'entropy' || plan.targetPatchBytes !== null || maxRowBytes === null) return null;
  // A row may have twice the bytes that were planned for it.
  const planned = maxRowBytes / 2 / patchesPerRow;
  const short = meanPatchBytes < planned / FAR;
  if (!short && meanPatchBytes <= planned * FAR) return null;
  const cost = short ? 'The global model takes more steps for the same text' : 'The global model sees less of the text';
  const remedy = plan.modelOrigin
    ? '--patcher retrain trains an entropy model for this text, and finds a threshold'
    : '--patch-size in the place of --threshold finds one for this text';
  return `patches of this text have ${meanPatchBytes.toFixed(2)} bytes on average, and the run is planned for ${planned.toFixed(2)}. ${cost}. ${remedy}`;
}
