/** @file Trees of parameters: tensors in arrays and plain objects, named by their paths. */
import { describe, isForeignTensor, Tensor } from '@blt-ts/tensor';

/**
 * Parameters: a tensor, or tensors in arrays and plain objects, however deep. The path to a tensor is its name in a checkpoint.
 * (Typed as any object: interfaces would not match a recursive index type.)
 */
export type Tree = object;

/** A tree of the form of T with something else at its leaves. */
export type TreeOf<T, Leaf> = T extends Tensor ? Leaf : { readonly [P in keyof T]: TreeOf<T[P], Leaf> };

/**
 * Replaces every leaf; `path` is its name, joined by dots ("layers.0.weight").
 * @throws TypeError naming a leaf that is no tensor
 */
export function mapTree<T extends Tree, Leaf>(tree: T, f: (leaf: Tensor, path: string) => Leaf): TreeOf<T, Leaf> {
  const walk = (node: unknown, path: string): unknown => {
    if (node instanceof Tensor) return f(node, path);
    const below = (key: string | number) => (path === '' ? String(key) : `${path}.${key}`);
    if (Array.isArray(node)) return node.map((child, i) => walk(child, below(i)));
    if (node === null || typeof node !== 'object' || isForeignTensor(node)) {
      throw new TypeError(`parameters: "${path}" is ${describe(node)}; leaves must be tensors`);
    }
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, walk(child, below(key))]));
  };
  return walk(tree, '') as TreeOf<T, Leaf>;
}

/** Name and tensor of every leaf, in the order of the tree. */
export function leaves(tree: Tree): [name: string, leaf: Tensor][] {
  const found: [string, Tensor][] = [];
  mapTree(tree, (leaf, path) => found.push([path, leaf]));
  return found;
}
