/** @file Trees of parameters. */
import * as ag from '@blt-ts/autograd';
import { tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const scalar = (value: number) => tensor([value], [], { backend });

describe('trees', () => {
  const tree: fc.Arbitrary<{ tree: object; names: string[] }> = fc
    .letrec((tie) => ({
      leaf: fc.constant(null),
      node: fc.oneof(
        { maxDepth: 3 },
        tie('leaf'),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('weight', 'bias', 'wq'), tie('node'), { maxKeys: 3 }),
      ),
    }))
    .node.filter((node) => node !== null)
    .map((node) => {
      const names: string[] = [];
      const build = (x: unknown, path: string[]): unknown => {
        if (x === null) {
          names.push(path.join('.'));
          return scalar(names.length);
        }
        if (Array.isArray(x)) return x.map((y, i) => build(y, [...path, String(i)]));
        return Object.fromEntries(Object.entries(x as object).map(([k, y]) => [k, build(y, [...path, k])]));
      };
      return { tree: build(node, []) as object, names };
    });

  property('leaves are named by their path, in order', tree, 30, ({ tree: t, names }) => {
    const found = ag.leaves(t);
    expect(found.map(([name]) => name)).toEqual(names);
    expect(found.map(([, leaf]) => leaf.item())).toEqual(names.map((_, i) => i + 1));
  });
  property('mapTree keeps the form', tree, 30, ({ tree: t }) => {
    const same = ag.mapTree(t, (leaf) => leaf);
    expect(JSON.stringify(same)).toBe(JSON.stringify(t));
  });
});
