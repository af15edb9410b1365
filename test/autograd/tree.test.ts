/** @file Trees of parameters. */

import * as ag from '@blt-ts/autograd';
import { trees } from '@blt-ts/autograd/testing';
import { type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
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

test('a tree of gradients, and what is made of it, has the type of the parameters, with arrays that can be changed', () => {
  interface Net {
    layers: { w: Tensor; b: Tensor }[];
  }
  let net: Net = { layers: [{ w: tensor([2]), b: tensor([1]) }] };
  const grads: Net = ag.grad((n: Net) => ag.sum(ag.add(n.layers[0].w, n.layers[0].b)))(net);
  net = ag.treeMap((p, g) => ag.sub(p, g), net, grads);
  net.layers.push(net.layers[0]);
  expect(net.layers[1].w.item()).toBe(1);
});
