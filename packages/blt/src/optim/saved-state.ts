/** @file Buffers of an optimiser in a saved state. */
import type { Tensor } from '@blt-ts/tensor';

/** @throws Error if a saved state has no buffer of this name, or one of another size */
export function checkBuffer(tensors: ReadonlyMap<string, Float32Array>, key: string, target: Tensor): void {
  const values = tensors.get(key);
  if (values?.length === target.size) return;
  throw new Error(`optimiser state: ${key} needs ${target.size} values, got ${values?.length ?? 'none'}`);
}
