/** @file Trees of tensors as safetensors files in memory. */
import {
  type Backend,
  checkOptions,
  formatShape,
  readSafetensors,
  type SafetensorsInput,
  type SafetensorsMetadata,
  type SafetensorsTensor,
  sameShape,
  type Tensor,
  tensor,
  toFloat32,
  toInt32,
  writeSafetensors,
} from '@blt-ts/tensor';
import { leaves, mapTree, type Tree, treeFromNames } from './tree.ts';

/** A tensor as a file holds it. */
const stored = (x: Tensor): SafetensorsInput => {
  const read = x.readSync();
  const data = read instanceof Float64Array ? Float32Array.from(read) : read;
  return { dtype: x.dtype === 'i32' ? 'I32' : 'F32', shape: x.shape, data };
};

/**
 * A safetensors file of a tree: each tensor under its path (`layers.0.weight`), floats as F32 and whole numbers as I32. The bytes
 * depend on names and values alone. PyTorch, JAX and transformers read them.
 * @param metadata strings to keep in the header
 * @throws SafetensorsError if two paths are the same name, TypeError for a single tensor, which has no name; Error on a backend whose
 *   values must be waited for
 */
export function saveSafetensors(tree: Tree, metadata: SafetensorsMetadata = {}): Uint8Array<ArrayBuffer> {
  const named = leaves(tree);
  if (named.some(([name]) => name === '')) {
    throw new TypeError('saveSafetensors: a tensor alone has no name; save an object of tensors, { weight: x }');
  }
  const tensors = named.map(([name, x]) => [name, stored(x)] as const);
  return writeSafetensors(tensors, metadata);
}

/** How `loadSafetensors` reads a file. */
export interface LoadOptions<T extends Tree> {
  /** A tree of the form, shapes and dtypes that the file must have. Left out: arrays and objects follow from the names. */
  readonly like?: T;
  /** Where the tensors are made. */
  readonly backend?: Backend;
}

/**
 * The tree of tensors in a safetensors file; `saveSafetensors` back. Floats of any width become f32 (BF16 and F16 exactly), whole
 * numbers i32.
 * @throws SafetensorsError for anything that is no such file; Error naming a tensor that `like` has and the file has not, or the
 *   reverse, or that has another shape or dtype
 */
export function loadSafetensors<T extends Tree = Tree>(bytes: Uint8Array, options: LoadOptions<T> = {}): T {
  checkOptions('loadSafetensors', options, ['like', 'backend']);
  const { like, backend } = options;
  const { tensors } = readSafetensors(bytes);
  const make = (name: string, found: SafetensorsTensor): Tensor => {
    const values = /^[IUB]\d|^BOOL/.test(found.dtype) ? toInt32(found, name) : toFloat32(found, name);
    return tensor(values, found.shape, { backend });
  };
  if (!like) return treeFromNames<T>([...tensors].map(([name, found]) => [name, make(name, found)] as const));
  const names = new Set(leaves(like).map(([name]) => name));
  for (const name of tensors.keys()) {
    if (!names.has(name)) throw new Error(`loadSafetensors: the file has a tensor ${name}, which is not expected`);
  }
  return mapTree(like, (x, name) => {
    const found = tensors.get(name);
    if (!found) throw new Error(`loadSafetensors: the file has no tensor ${name}`);
    if (!sameShape(found.shape, x.shape)) {
      const [got, want] = [formatShape(found.shape), formatShape(x.shape)];
      throw new Error(`loadSafetensors: ${name} has shape ${got} in the file, it must have ${want}`);
    }
    const made = make(name, found);
    if (made.dtype === x.dtype) return made;
    throw new Error(`loadSafetensors: ${name} is ${made.dtype} in the file, it must be ${x.dtype}`);
  }) as unknown as T;
}
