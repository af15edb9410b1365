/**
 * @file A Byte Latent Transformer as one packed safetensors file, without its entropy model, which the page has as a file of its own.
 * Both together are an ordinary checkpoint again.
 */

import { leaves } from '@blt-ts/autograd';
import { type Checkpoint, ConfigError, configFromHuggingFace, configToHuggingFace } from '@blt-ts/blt';
import { readSafetensors, type SafetensorsInput, writeSafetensors } from '@blt-ts/tensor';
import { packTensors, unpackTensors } from './packed-weights.ts';

const KIND = 'blt model';

/** @param bits of each weight of a matrix, see `packRows` */
export function modelToFile({ config, params }: Checkpoint, bits: number): Uint8Array {
  const tensors = leaves(params).map(([name, leaf]) => ({
    name,
    shape: leaf.shape,
    values: leaf.readSync() as Float32Array,
  }));
  return writeSafetensors(packTensors(tensors, bits), {
    kind: KIND,
    config: JSON.stringify(configToHuggingFace(config)),
  });
}

/**
 * The two files of a checkpoint, from the packed model and the file of its entropy model.
 * @throws SafetensorsError or ConfigError for a file that is no such model
 */
export function checkpointFiles(
  model: Uint8Array,
  entropyModel: Uint8Array,
): { config: string; weights: Uint8Array<ArrayBuffer> } {
  const { tensors, metadata } = readSafetensors(model);
  if (metadata.get('kind') !== KIND)
    throw new ConfigError(`this file is no packed model: its metadata lacks "${KIND}"`);
  const config = metadata.get('config') ?? '';
  // Read now, so that a broken one is told here.
  configFromHuggingFace(JSON.parse(config));
  const plain = (prefix: string, found: ReturnType<typeof unpackTensors>): [string, SafetensorsInput][] =>
    [...found.values()].map(({ name, shape, values }) => [prefix + name, { dtype: 'F32', shape, data: values }]);
  const weights = writeSafetensors(
    [
      ...plain('', unpackTensors({ tensors })),
      ...plain('model.patcher.', unpackTensors(readSafetensors(entropyModel))),
    ],
    { format: 'pt' },
  ) as Uint8Array<ArrayBuffer>;
  return { config, weights };
}
