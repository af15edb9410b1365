/**
 * @file Which weights are worth keeping as BF16 while a model is only read: the matrices of products, which every byte or patch reads
 * whole. Embedding tables, of which a byte reads a row, and norms stay float32.
 */
import { type Shape, storeAsBf16, type Tensor } from '@blt-ts/tensor';

/**
 * How the matrices of a checkpoint are kept: `f32`; `bf16`, rounded where the file holds more; or `stored`, as BF16 where the file
 * has them so (nothing is lost) and as float32 elsewhere.
 */
export type WeightFormat = 'f32' | 'bf16' | 'stored';

/** Whether a tensor of a checkpoint is a matrix of products. */
export const isProductMatrix = (name: string, shape: Shape): boolean =>
  shape.length === 2 && !/(embed_tokens|encoder_hash_tok_embedding)\.weight$/.test(name);

/** Keeps the product matrices among named tensors as BF16, where their backend can. @returns how many */
export function storeMatricesAsBf16(tensors: Iterable<readonly [string, Tensor]>): number {
  let count = 0;
  for (const [name, x] of tensors) if (isProductMatrix(name, x.shape) && storeAsBf16(x)) count++;
  return count;
}
