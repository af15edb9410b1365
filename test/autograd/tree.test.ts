/** @file Trees of parameters. */

import * as ag from '@blt-ts/autograd';
import { trees } from '@blt-ts/autograd/testing';
import { describe, expect } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;

describe('trees', () => {
  const tree = trees(undefined, backend);

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
