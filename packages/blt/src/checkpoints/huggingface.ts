/** @file Weights in the Hugging Face layout: tensors with the names of `BltForCausalLM`. Bytes in, bytes out; all is checked before use. */
import { leaves, treeFromNames } from '@blt-ts/autograd';
import {
  type Backend,
  f32ToBf16,
  type SafetensorsInput,
  scope,
  type Tensor,
  tensor,
  toFloat32,
  writeSafetensors,
} from '@blt-ts/tensor';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { BltConfig } from '../model/config.ts';
import {
  type BltParams,
  bltPlan,
  type EntropyModelParams,
  entropyModelPlan,
  type ParameterPlan,
} from '../model/parameters.ts';
import { storeMatricesAsBf16, type WeightFormat } from './bf16-weights.ts';
import {
  checkAgainstPlan,
  HASH_TABLE,
  type StoredTensors,
  storedInMemory,
  withHuggingFaceNames,
} from './stored-tensors.ts';

/** All tensors of a checkpoint: those of the latent transformer, then those of its entropy model under `model.patcher.`. */
export function checkpointPlan(config: BltConfig): ParameterPlan[] {
  return [
    ...bltPlan(config),
    ...(config.patcher ? entropyModelPlan(config.patcher, config.vocabSize, 'model.patcher.') : []),
  ];
}

/**
 * Reads the weights of a checkpoint into tensors; nothing is allocated before names and shapes have been checked.
 * @throws SafetensorsError for a broken file; ConfigError naming the first missing tensor or wrong shape
 */
export function checkpointFromSafetensors(bytes: Uint8Array, config: BltConfig, backend?: Backend): Checkpoint {
  return checkpointFromStored(storedInMemory(bytes), config, backend);
}

/**
 * The same from tensors wherever they lie, under the names of Hugging Face or of Facebook; one tensor at a time is in memory twice.
 * With `hashTables: false` the hash tables stay where they are, for decoding with `hashRowsOf`. `weights` says how the matrices are kept
 * in memory (default f32). Other formats are for models that are not trained on.
 * @param backend where the weights go, for all or by name
 * @throws SafetensorsError for values that cannot be read; ConfigError naming the first missing tensor or wrong shape
 */
export function checkpointFromStored(
  given: StoredTensors,
  config: BltConfig,
  backend?: Backend | ((name: string) => Backend),
  { hashTables = true, weights = 'f32' }: { hashTables?: boolean; weights?: WeightFormat } = {},
): Checkpoint {
  const stored = withHuggingFaceNames(given);
  const plan = checkpointPlan(config);
  checkAgainstPlan(plan, stored);
  // In a scope, so that a tensor that cannot be read leaves nothing of those before it behind.
  const loaded = scope(() =>
    plan
      .filter(({ name }) => hashTables || name !== HASH_TABLE)
      .map(({ name, shape }) => {
        const { dtype, read } = stored.get(name)!;
        const on = typeof backend === 'function' ? backend(name) : backend;
        const values = toFloat32({ dtype, shape: [...shape], data: read() }, name);
        const leaf = [name, tensor(values, shape, { backend: on })] as const;
        if (weights === 'bf16' || (weights === 'stored' && dtype === 'BF16')) storeMatricesAsBf16([leaf]);
        return leaf;
      }),
  );
  const prefix = 'model.patcher.';
  const patcher = loaded.filter(([name]) => name.startsWith(prefix));
  return {
    config,
    params: treeFromNames<BltParams>(loaded.filter(([name]) => !name.startsWith(prefix))),
    patcher:
      patcher.length > 0
        ? treeFromNames<EntropyModelParams>(patcher.map(([name, leaf]) => [name.slice(prefix.length), leaf] as const))
        : null,
  };
}

/** All tensors of a checkpoint under their Hugging Face names. */
export function namedTensors({ params, patcher }: Pick<Checkpoint, 'params' | 'patcher'>): [string, Tensor][] {
  return [
    ...leaves(params),
    ...(patcher ? leaves(patcher).map(([name, leaf]): [string, Tensor] => [`model.patcher.${name}`, leaf]) : []),
  ];
}

/** The bytes of `model.safetensors`, with Hugging Face names; BF16 rounds to nearest even. */
export function checkpointToSafetensors(
  checkpoint: Pick<Checkpoint, 'params' | 'patcher'>,
  dtype: 'F32' | 'BF16' = 'F32',
): Uint8Array {
  const tensors = namedTensors(checkpoint).map(([name, leaf]): [string, SafetensorsInput] => {
    const values = leaf.readSync() as Float32Array;
    return [name, { dtype, shape: leaf.shape, data: dtype === 'F32' ? values : f32ToBf16(values) }];
  });
  return writeSafetensors(tensors, { format: 'pt' });
}
