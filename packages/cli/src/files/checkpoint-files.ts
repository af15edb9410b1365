/** @file Opens a model folder of either layout without loading it: its configuration, and its tensors under Hugging Face names. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BltConfig,
  checkAgainstPlan,
  checkpointPlan,
  configFromFacebook,
  configFromHuggingFace,
  facebookArguments,
  isFacebookLayout,
  type StoredTensors,
  withHuggingFaceNames,
  withTiedEmbeddings,
} from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { checkManifest } from './checksums.ts';
import { holdsWeights, INDEX, readJson, SINGLE, storedInFolder, tensorsOfFile } from './weight-files.ts';

const prefixed = (stored: StoredTensors, prefix: string): StoredTensors =>
  new Map([...stored].map(([name, tensor]) => [prefix + name, tensor]));

/** A checkpoint whose files are open and checked, but not loaded. */
export interface OpenedModel {
  readonly config: BltConfig;
  /** Under Hugging Face names, checked against the configuration. */
  readonly stored: StoredTensors;
  readonly layout: 'huggingface' | 'facebook';
}

/** @throws UserError for an entropy model of its own where the layout has none, or where there is no such folder */
function refuseEntropyModel(folder: string, facebook: boolean, entropyModel: string | undefined): void {
  if (entropyModel === undefined) return;
  if (!facebook) {
    throw new UserError(
      `${folder} has the layout of transformers, in which the entropy model lies among the weights; leave out --entropy-model ${entropyModel}`,
      2,
    );
  }
  if (!existsSync(entropyModel)) {
    throw new UserError(`cannot open the entropy model ${entropyModel}: there is no such folder`, 2);
  }
}

/**
 * Opens a folder of either layout without loading it. Facebook's keeps its entropy model in a folder of its own: `entropy_model` inside
 * it, or `entropyModel`; a pickle (.pth) must be converted to safetensors first, it is never unpickled.
 */
export function openModelFolder(folder: string, { entropyModel }: { entropyModel?: string } = {}): OpenedModel {
  if (!holdsWeights(folder)) {
    const why = existsSync(folder) ? `it holds neither ${SINGLE} nor ${INDEX}` : 'there is no such folder';
    throw new UserError(`cannot open ${folder}: ${why}`, 2);
  }
  let own = storedInFolder(folder);
  const facebook = isFacebookLayout(own.keys());
  const json = readJson(
    join(folder, facebook && !existsSync(join(folder, 'config.json')) ? 'params.json' : 'config.json'),
  );
  refuseEntropyModel(folder, facebook, entropyModel);
  if (!facebook) {
    const config = configFromHuggingFace(json);
    const stored = withTiedEmbeddings(own, json);
    checkAgainstPlan(checkpointPlan(config), stored);
    checkManifest(folder, ['config.json']);
    return { config, stored, layout: 'huggingface' };
  }
  const beside = entropyModel ?? join(folder, 'entropy_model');
  let entropyArgs: Record<string, unknown> = {};
  if (existsSync(beside)) {
    const file = ['model.safetensors', 'consolidated.safetensors'].map((f) => join(beside, f)).find(existsSync);
    if (!file) {
      throw new UserError(
        `${beside} holds no model.safetensors; convert the .pth with torch.load and safetensors.torch.save_file`,
        2,
      );
    }
    own = new Map([...own, ...prefixed(tensorsOfFile(file), 'patcher.')]);
    if (existsSync(join(beside, 'params.json'))) {
      const params = readJson(join(beside, 'params.json')) as Record<string, unknown>;
      entropyArgs = (params.entropy_model ?? params.model ?? params) as Record<string, unknown>;
    }
  }
  const stored = withHuggingFaceNames(own);
  const args = facebookArguments(json);
  // Weights of one layout beside a configuration of the other: the converter of Hugging Face leaves such folders.
  const config = args ? configFromFacebook(args, stored, entropyArgs) : configFromHuggingFace(json);
  checkAgainstPlan(checkpointPlan(config), stored);
  return { config, stored, layout: 'facebook' };
}
