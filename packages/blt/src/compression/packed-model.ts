/** @file A model that travels inside an archive: its configuration, and its weights as BF16. */
import { type Backend, SafetensorsError } from '@blt-ts/tensor';
import { checkpointFromSafetensors, checkpointToSafetensors } from '../checkpoints/huggingface.ts';
import { configFromHuggingFace, configToHuggingFace } from '../checkpoints/huggingface-config.ts';
import { ArchiveError, ConfigError } from '../errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';

const LENGTH_BYTES = 4;

/** The length of the configuration (uint32, little-endian), the configuration (JSON), the weights (safetensors, rounded to BF16). */
export function packModel(checkpoint: Checkpoint): Uint8Array<ArrayBuffer> {
  const config = new TextEncoder().encode(JSON.stringify(configToHuggingFace(checkpoint.config)));
  const weights = checkpointToSafetensors(checkpoint, 'BF16');
  const packed = new Uint8Array(LENGTH_BYTES + config.length + weights.length);
  new DataView(packed.buffer).setUint32(0, config.length, true);
  packed.set(config, LENGTH_BYTES);
  packed.set(weights, LENGTH_BYTES + config.length);
  return packed;
}

/** The model that `packModel` packed. @throws ArchiveError if it is none */
export function unpackModel(packed: Uint8Array, backend?: Backend): Checkpoint {
  try {
    const length = new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(0, true);
    const end = LENGTH_BYTES + length;
    const config = new TextDecoder('utf-8', { fatal: true }).decode(packed.subarray(LENGTH_BYTES, end));
    // A copy, because the tensors of a file lie at multiples of their size.
    return checkpointFromSafetensors(packed.slice(end), configFromHuggingFace(JSON.parse(config)), backend);
  } catch (error) {
    const isDamage =
      error instanceof ConfigError ||
      error instanceof SafetensorsError ||
      error instanceof SyntaxError ||
      error instanceof TypeError ||
      error instanceof RangeError;
    if (!isDamage) throw error;
    throw new ArchiveError(`the model inside the archive is damaged: ${error.message}`, { cause: error });
  }
}
