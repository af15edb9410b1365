/** @file Trees of parameters: tensors in arrays and plain objects, named by their paths. */
import { describe, isForeignTensor, Tensor } from '@blt-ts/tensor';

/**
 * Parameters: a tensor, or tensors in arrays and plain objects, however deep. The path to a tensor is its name in a checkpoint.
 * (Typed as any object: interfaces would not match a recursive index type.)
 */
export type Tree = object;

/** A tree of the form of T with something else at its leaves. */
export type TreeOf<T, Leaf> = T extends Tensor ? Leaf : { [P in keyof T]: TreeOf<T[P], Leaf> };

/** Whether a node is an object with fields of its own, of whatever class, and none of the things that JavaScript makes: a promise, a map, a date. */
const isBranch = (node: unknown): node is object =>
  Object.prototype.toString.call(node) === '[object Object]' &&
  !isForeignTensor(node as object) &&
  !(Symbol.iterator in (node as object));

/**
 * Replaces every leaf; `path` is its name, joined by dots ("layers.0.weight").
 * @throws TypeError naming a leaf that is no tensor
 */
export function mapTree<T extends Tree, Leaf>(tree: T, f: (leaf: Tensor, path: string) => Leaf): TreeOf<T, Leaf> {
  const walk = (node: unknown, path: string): unknown => {
    if (node instanceof Tensor) return f(node, path);
    const below = (key: string | number) => (path === '' ? String(key) : `${path}.${key}`);
    if (Array.isArray(node)) return node.map((child, i) => walk(child, below(i)));
    if (!isBranch(node)) {
      throw new TypeError(
        `parameters${path === '' ? ' are' : `: "${path}" is`} ${describe(node)}; leaves must be tensors`,
      );
    }
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, walk(child, below(key))]));
  };
  return walk(tree, '') as TreeOf<T, Leaf>;
}

/** Name and tensor of every leaf, in the order of the tree. @throws TypeError for a name that is there twice: { 'a.b': x, a: { b: y } } */
export function leaves(tree: Tree): [name: string, leaf: Tensor][] {
  const found = new Map<string, Tensor>();
  mapTree(tree, (leaf, path) => {
    if (found.has(path)) throw new TypeError(`parameters: two tensors are called "${path}"; give one another name`);
    found.set(path, leaf);
  });
  return [...found];
}

/**
 * Replaces every leaf by f of the leaves at its place in several trees of one form: treeMap((p, g) => sub(p, mul(g, 0.1)), params, grads).
 * @throws TypeError naming a tensor that one tree has and another has not, or a leaf that is no tensor
 * @see `jax.tree.map`
 */
export function treeMap<T extends Tree, Leaf>(
  f: (...leaves: Tensor[]) => Leaf,
  tree: T,
  ...rest: readonly Tree[]
): TreeOf<T, Leaf> {
  const others = rest.map((other) => new Map(leaves(other)));
  const names = new Set(leaves(tree).map(([name]) => name));
  others.forEach((other, i) => {
    for (const name of other.keys()) if (!names.has(name)) throw missing(name, i + 1, 0);
  });
  return mapTree(tree, (leaf, path) => {
    const found = others.map((other, i) => {
      const y = other.get(path);
      if (!y) throw missing(path, 0, i + 1);
      return y;
    });
    // biome-ignore lint/plugin: the parameters of one function
    return f(leaf, ...found);
  });
}

const missing = (name: string, here: number, there: number): TypeError =>
  new TypeError(
    `treeMap: tree ${here} has a tensor "${name}" and tree ${there} has none; all trees must have one form`,
  );

/**
 * A tree from names such as `model.layers.0.weight`. Keys 0, 1, 2, ... without a gap are places in an array, others those of an object.
 * @throws TypeError for a name that is there twice, or whose beginning up to a dot is another name
 */
export function treeFromNames<T>(entries: Iterable<readonly [name: string, leaf: unknown]>): T {
  class Branch extends Map<string, Branch | { readonly leaf: unknown }> {}
  const root = new Branch();
  for (const [name, leaf] of entries) {
    let at: Branch | { readonly leaf: unknown } | undefined = root;
    name.split('.').forEach((key, i, path) => {
      const isLast = i === path.length - 1;
      if (!(at instanceof Branch) || (isLast && at.has(key))) {
        throw new TypeError(`"${name}" and another name are no tree: one begins with the other, or they are the same`);
      }
      if (!at.has(key)) at.set(key, isLast ? { leaf } : new Branch());
      at = at.get(key);
    });
  }
  const build = (node: Branch | { readonly leaf: unknown }): unknown => {
    if (!(node instanceof Branch)) return node.leaf;
    const built = new Map([...node].map(([key, child]) => [key, build(child)]));
    return [...built.keys()].every((_, i) => built.has(`${i}`))
      ? Array.from(built, (_, i) => built.get(`${i}`))
      : Object.fromEntries(built);
  };
  return build(root) as T;
}
