/** @file Rows of the library: products and layers. */
import fc from 'fast-check';
import * as ag from '../index.ts';
import { spread, squares } from './library-numbers.ts';
import { type LibraryRow, row } from './library-row.ts';
import { type Arr, at, blank, type Expected, indices, off, plain, range, tabulate, total } from './op-row.ts';
import { floats } from './op-values.ts';

/** Sum over all names of products of elements. */
function brute(equation: string, xs: readonly Arr[]): Expected {
  const [inputs, output] = equation.split('->');
  const names = [...new Set(inputs.replaceAll(',', ''))];
  const lists = inputs.split(',');
  const size = (name: string) => {
    const which = lists.findIndex((list) => list.includes(name));
    return xs[which].shape[lists[which].indexOf(name)];
  };
  const summed = names.filter((name) => !output.includes(name));
  return tabulate([...output].map(size), (...index) =>
    total(
      indices(summed.map(size)).map((inner) => {
        const place = (name: string) =>
          output.includes(name) ? index[output.indexOf(name)] : inner[summed.indexOf(name)];
        return xs.reduce((p, x, i) => p * at(x, ...[...lists[i]].map(place)), 1);
      }),
    ),
  );
}

const equations = [
  'ij,jk->ik',
  'bij,bkj->bik',
  'i,j->ij',
  'ij->',
  'ii->i',
  'ij,j->i',
  'ij,ij->',
  'abc->cab',
  'ij,jk,kl->il',
  'bhqd,bhkd->bhqk',
  'iij->j',
  'i,i,i->i',
];

export const libraryProducts: Record<string, LibraryRow<never>> = {
  einsum: row<string>({
    cases: (size) =>
      fc
        .tuple(fc.constantFrom(...equations), fc.array(size, { minLength: 8, maxLength: 8 }))
        .chain(([equation, sizes]) => {
          const lists = equation.split('->')[0].split(',');
          const all = [...new Set(lists.join(''))];
          const shape = (list: string) => [...list].map((name) => Math.min(sizes[all.indexOf(name)], 4));
          return fc.record({
            ins: fc.tuple(...lists.map((list) => floats(shape(list)))),
            attrs: fc.constant(equation),
          });
        }),
    define: (xs, equation) => {
      const want = brute(equation, xs);
      // Three factors are rounded one after the other.
      return {
        ...want,
        values: want.values.map(({ value, error }) => off(value, 4 * error + 4 * xs.length * Math.abs(value) + 64)),
      };
    },
    operation: (xs, equation) => ag.einsum(equation, ...xs),
    refusals: [
      { ins: [blank(1)], attrs: 'i,i->i', message: "einsum: 'i,i->i' names 2 operands, got 1" },
      { ins: [blank(1)], attrs: 'i->j', message: "einsum: 'i->j': j must stand once in the result, and in an operand" },
      {
        ins: [blank(1)],
        attrs: 'i-i',
        message: "einsum: 'i-i' is no equation; write 'ij,jk->ik', a letter for each axis",
      },
      { ins: [blank(1, 2)], attrs: 'i->i', message: "einsum: 'i' names 1 axes of operand 0, which is [1,2]" },
      { ins: [blank(2), blank(3)], attrs: 'i,i->i', message: "einsum: axis i of 'i,i->i' has sizes 2 and 3" },
    ],
  }),
  dot: row<null>({
    cases: (size) =>
      size.chain((n) => fc.record({ ins: fc.tuple(floats([n]), floats([n])), attrs: fc.constant(null) })),
    define: ([a, b]) => ({ shape: [], values: [total(a.values.map((v, i) => v * b.values[i]))] }),
    operation: ([a, b]) => ag.dot(a, b),
    refusals: [
      { ins: [blank(2), blank(3)], attrs: null, message: 'dot: a has 2 elements, b has 3' },
      { ins: [blank(2), blank(2, 1)], attrs: null, message: 'dot: a [2] and b [2,1] must have one axis each' },
    ],
  }),
  outer: row<null>({
    cases: (size) =>
      fc
        .tuple(size, size)
        .chain(([n, m]) => fc.record({ ins: fc.tuple(floats([n]), floats([m])), attrs: fc.constant(null) })),
    define: ([a, b]) => tabulate([a.values.length, b.values.length], (i, j) => total([a.values[i] * b.values[j]])),
    operation: ([a, b]) => ag.outer(a, b),
    refusals: [{ ins: [blank(), blank(2)], attrs: null, message: 'outer: a [] and b [2] must have one axis each' }],
  }),

  layerNorm: row<null>({
    cases: (size) =>
      fc
        .tuple(
          size,
          size.map((d) => Math.max(1, d)),
        )
        .chain(([n, C]) =>
          fc.record({ ins: fc.tuple(floats([n, C]), floats([C]), floats([C])), attrs: fc.constant(null) }),
        ),
    define: ([x, w, b]) =>
      tabulate(x.shape, (i, c) => {
        const line = range(x.shape[1]).map((k) => at(x, i, k));
        const deviation = Math.sqrt(spread(line, 0) + 0.01);
        const y = ((at(x, i, c) - plain(line) / line.length) / deviation) * at(w, c);
        return off(
          y + at(b, c),
          ((16 + 4 * line.length) * (1 + Math.abs(at(w, c))) * (1 + squares(line))) / deviation ** 2 + 8,
        );
      }),
    operation: ([x, w, b]) => ag.layerNorm(x, w, b, 0.01),
    refusals: [
      { ins: [blank(2, 3), blank(2), blank(3)], attrs: null, message: 'layerNorm: weight must be [3], got [2]' },
      { ins: [blank(2, 3), blank(3), blank(1, 3)], attrs: null, message: 'layerNorm: bias must be [3], got [1,3]' },
    ],
  }),
};
