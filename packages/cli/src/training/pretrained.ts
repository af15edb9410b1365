/** @file Pretrained weights that a run may start from: a Llama, an entropy model. Opened without loading, known again by SHA-256. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  type BltConfig,
  bltPlan,
  checkLlama,
  entropyModelPlan,
  globalFromLlama,
  llamaTensors,
  llamaWarnings,
  type PatchingOptions,
  type StoredTensors,
  type TransformerConfig,
  type WeightSource,
} from '@blt-ts/blt';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { holdsWeights, readJson, storedInFolder } from '../files/weight-files.ts';
import { findModel } from '../run/find-model.ts';
import { UserError } from '../terminal/errors.ts';

/** Weights trained before, opened but not loaded. */
export interface PretrainedWeights extends WeightSource {
  readonly config: TransformerConfig;
  readonly stored: StoredTensors;
}

/** Bytes hashed at once. */
const PIECE = 2 ** 24;

/** SHA-256 in hex over name, dtype, shape and data of these tensors, in this order. */
function fingerprint(stored: StoredTensors, names: readonly string[]): string {
  const hash = createHash('sha256');
  for (const name of names) {
    const tensor = stored.get(name)!;
    hash.update(`${name} ${tensor.dtype} ${tensor.shape.join('x')}\n`);
    for (let at = 0; at < tensor.bytes; at += PIECE) hash.update(tensor.read(at, Math.min(tensor.bytes, at + PIECE)));
  }
  return hash.digest('hex');
}

/**
 * A Llama in the Hugging Face layout, for byte-ifying. `layers`: take so many from the first on (default: all).
 * @throws UserError, ConfigError listing every tensor that does not fit
 */
export function openLlama(
  folder: string,
  { layers, warn = () => {} }: { layers?: number; warn?: (message: string) => void } = {},
): PretrainedWeights {
  if (!holdsWeights(folder)) {
    throw new UserError(`cannot start from ${folder}: it holds no model.safetensors; give a Llama of transformers`, 2);
  }
  const json = readJson(join(folder, 'config.json'));
  const own = globalFromLlama(json);
  const config = { ...own, numHiddenLayers: Math.min(own.numHiddenLayers, layers ?? own.numHiddenLayers) };
  const stored = storedInFolder(folder);
  checkLlama(stored, config);
  for (const message of llamaWarnings(json)) warn(message);
  const sha256 = fingerprint(
    stored,
    llamaTensors(config).map(({ from }) => from),
  );
  return { source: folder, sha256, config: own, stored };
}

/** An entropy model trained before. */
export interface OpenedEntropyModel extends PretrainedWeights {
  /** Bytes it looks back. */
  readonly window: number;
  /** How its own model cuts patches. */
  readonly patching: PatchingOptions;
}

/** The entropy model of a run or checkpoint. @throws UserError, ConfigError */
export async function openEntropyModel(path: string): Promise<OpenedEntropyModel> {
  const folder = await findModel(path);
  const { config, stored } = openModelFolder(folder);
  const { patcher, window, behaviour } = config;
  if (!patcher) throw new UserError(`${folder} has no entropy model; give a model that was trained with one`, 2);
  if (behaviour !== 'facebook' || window === null) {
    throw new UserError(
      `the entropy model of ${folder} is to be used without a window (behaviour ${behaviour}), but training has one; ` +
        'give it one first: blt import DIR --behaviour facebook --window 512 --out OURS',
      2,
    );
  }
  const names = entropyModelPlan(patcher, config.vocabSize, 'model.patcher.').map(({ name }) => name);
  return {
    source: path,
    sha256: fingerprint(stored, names),
    config: patcher,
    stored,
    window,
    patching: config.patching,
  };
}

export interface OpenedModel extends WeightSource {
  readonly config: BltConfig;
  readonly stored: StoredTensors;
}

/** The model of a run or checkpoint, to go on from. Its entropy model is opened by itself. @throws UserError, ConfigError */
export async function openModel(path: string): Promise<OpenedModel> {
  const { config, stored } = openModelFolder(await findModel(path));
  const sha256 = fingerprint(
    stored,
    bltPlan(config).map(({ name }) => name),
  );
  return { source: path, sha256, config, stored };
}

/** @throws UserError if what lies there now is not what the run began with */
export function assertSame(what: string, now: WeightSource, then: WeightSource): void {
  if (now.sha256 === then.sha256) return;
  throw new UserError(
    `${what} ${now.source} is not the one of before: its SHA-256 begins ${now.sha256.slice(0, 12)}, not ${then.sha256.slice(0, 12)}; restore the folder, or start a new run`,
  );
}
