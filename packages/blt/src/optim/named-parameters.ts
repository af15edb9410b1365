/** @file The parameters of an optimiser, by name. */
import { leaves } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';

/**
 * The tensors of a tree of parameters by their names.
 * @param op how errors call the optimiser
 * @throws TypeError naming a tensor that is not f32, or the two names of one tensor, which every step would update twice
 */
export function namedParameters(op: string, params: object): Map<string, Tensor> {
  const named = new Map(leaves(params));
  const names = new Map<Tensor['storage'], string>();
  for (const [name, p] of named) {
    if (p.dtype !== 'f32') {
      throw new TypeError(`${op}: ${name || 'the parameter'} is ${p.dtype}, and only f32 is trained; leave it out`);
    }
    const other = names.get(p.storage);
    if (other !== undefined) {
      throw new TypeError(
        `${op}: ${other} and ${name} are one tensor, which every step would update twice; give it one name`,
      );
    }
    names.set(p.storage, name);
  }
  return named;
}
