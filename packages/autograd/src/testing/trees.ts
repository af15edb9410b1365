/** @file Random trees of parameters. */
import { type Backend, defaultBackend, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';

/** A tree, and the names of its leaves in order. */
export interface NamedTree {
  readonly tree: object;
  readonly names: readonly string[];
}

/** A nest of arrays and objects with null where a leaf goes. */
type Form = null | readonly Form[] | { readonly [key: string]: Form };

const forms: fc.Arbitrary<Form> = fc.letrec<{ leaf: Form; node: Form }>((tie) => ({
  leaf: fc.constant(null),
  node: fc.oneof(
    { maxDepth: 3 },
    tie('leaf'),
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('weight', 'bias', 'wq'), tie('node'), { maxKeys: 3 }),
  ),
})).node;

/**
 * Trees of arrays and objects up to three deep, some without a leaf. Leaf number i (from 1) is the scalar i unless `leaf` makes
 * another tensor of it.
 */
export const trees = (
  leaf: (i: number, backend: Backend) => Tensor = (i, backend) => tensor([i], [], { backend }),
  backend: Backend = defaultBackend(),
): fc.Arbitrary<NamedTree> =>
  forms
    .filter((form) => form !== null)
    .map((form) => {
      const names: string[] = [];
      const build = (x: Form, path: readonly string[]): unknown => {
        if (x === null) {
          names.push(path.join('.'));
          return leaf(names.length, backend);
        }
        if (Array.isArray(x)) return x.map((y, i) => build(y, [...path, String(i)]));
        return Object.fromEntries(Object.entries(x).map(([key, y]) => [key, build(y, [...path, key])]));
      };
      return { tree: build(form, []) as object, names };
    });
