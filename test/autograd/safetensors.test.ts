/** @file Trees in safetensors files: back as they were, or refused by name. */
import { leaves, loadSafetensors, saveSafetensors } from '@blt-ts/autograd';
import { trees } from '@blt-ts/autograd/testing';
import { createReferenceBackend, readSafetensors, tensor } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { property } from '../support/property.ts';

const backend = createReferenceBackend();
const make = (i: number) =>
  i % 3 === 0 ? tensor(Int32Array.of(i, -i), [2], { backend }) : tensor([i, 0.5, -i], [1, 3], { backend });

property('a tree comes back with its form, names, shapes and bits', trees(make, backend), 40, ({ tree, names }) => {
  const bytes = saveSafetensors(tree, { note: 'x' });
  const plain = (t: object) => leaves(t).map(([name, x]) => [name, x.dtype, [...x.shape], [...x.readSync()]]);
  expect(plain(loadSafetensors(bytes, { like: tree, backend }))).toEqual(plain(tree));
  expect([...readSafetensors(bytes).tensors.keys()].sort()).toEqual([...names].sort());
  const sorted = (t: object) => plain(t).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  if (names.length > 0) expect(sorted(loadSafetensors(bytes, { backend }))).toEqual(sorted(tree));
});

test('what does not fit is refused by name', () => {
  const w = tensor([1, 2], [2], { backend });
  const bytes = saveSafetensors({ layer: [{ w }], bias: w });
  expect(() => loadSafetensors(bytes, { like: { layer: [{ w }] } })).toThrow(
    'the file has a tensor bias, which is not',
  );
  expect(() => loadSafetensors(bytes, { like: { layer: [{ w }], bias: w, more: w } })).toThrow('has no tensor more');
  expect(() => loadSafetensors(bytes, { like: { layer: [{ w }], bias: tensor([1], [1], { backend }) } })).toThrow(
    'bias has shape [2] in the file, it must have [1]',
  );
  expect(() => saveSafetensors(w)).toThrow('a tensor alone has no name');
  expect(() => saveSafetensors({ 'a.b': w, a: { b: w } })).toThrow('two tensors are called "a.b"');
});
