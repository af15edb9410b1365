/** @file The model that a path stands for: a checkpoint, the best step of a run, or the newest run. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, checkpointFromStored, type WeightFormat } from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import { latestFolder, listFolders } from '../files/atomic-folder.ts';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { holdsWeights } from '../files/weight-files.ts';
import { UserError } from '../terminal/errors.ts';
import { RunFolder, STEP } from './folder.ts';

/** The folder that holds model.safetensors: the path itself, or a run's best (else newest) step. */
export async function findModel(path: string): Promise<string> {
  if (holdsWeights(path)) return path;
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw new UserError(`cannot load a model from ${path}: it is a file; give the folder that holds it`, 2);
  }
  const best = await new RunFolder(path).bestName();
  if (best) return join(path, best);
  const steps = (await listFolders(path)).filter((name) => STEP.test(name));
  if (steps.length > 0) return join(path, (await latestFolder(path, { only: STEP })) ?? steps.at(-1)!);
  const why = existsSync(path) ? 'it holds no model.safetensors and no step-NNNNNN folder' : 'there is no such folder';
  throw new UserError(`cannot load a model from ${path}: ${why}; give a run's folder, e.g. runs/nano-1`, 2);
}

/** The newest run under runs/ that has a model, for commands called without --model. */
export async function newestRun(root = 'runs'): Promise<string> {
  const names = existsSync(root) ? await listFolders(root) : [];
  const dated: { path: string; at: string }[] = [];
  for (const name of names) {
    const path = join(root, name);
    try {
      const record = await new RunFolder(path).record();
      if ((await listFolders(path)).some((step) => STEP.test(step))) dated.push({ path, at: record.startedAt });
    } catch {
      // Not a run: nothing to choose from.
    }
  }
  dated.sort((a, b) => b.at.localeCompare(a.at));
  if (dated.length === 0)
    throw new UserError(`there is no trained model under ${root}/; train one: blt train, or give --model DIR`, 2);
  return dated[0].path;
}

/** Reads a model folder. @throws UserError or the library's own error naming file, thing and both values */
export async function loadModel(
  path: string | undefined,
  backend: Backend,
  weights: WeightFormat = 'f32',
): Promise<{ checkpoint: Checkpoint; folder: string }> {
  const folder = await findModel(path ?? (await newestRun()));
  const { config, stored } = openModelFolder(folder);
  return { checkpoint: checkpointFromStored(stored, config, backend, { weights }), folder };
}
