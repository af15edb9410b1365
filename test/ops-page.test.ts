/** @file docs/ops.md: it is what its script writes, it names what is exported, and leaves out nothing that is an operation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as ag from '@blt-ts/autograd';
import { methods } from '@blt-ts/autograd/methods';
import { contract } from '@blt-ts/tensor';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const { chapters, opsPage } = (await import(pathToFileURL(join(root, 'scripts/ops-page.mjs')).href)) as {
  chapters: [title: string, rows: string[][]][];
  opsPage(): string;
};
const rows = chapters.flatMap(([, list]) => list);
const names = rows.map(([ours]) => ours);

test('the page is what node scripts/ops-page.mjs writes', () => {
  expect(readFileSync(join(root, 'docs/ops.md'), 'utf8')).toBe(opsPage());
});

test('each name stands once, is exported as a function, and has four names beside it', () => {
  expect(new Set(names).size).toBe(names.length);
  for (const row of rows) {
    expect(typeof (ag as Record<string, unknown>)[row[0]], row[0]).toBe('function');
    expect(row.length, row[0]).toBe(5);
  }
});

test('every method stands on the page', () => {
  // affine is not elsewhere: it is what x * number + number becomes.
  expect(Object.keys(methods).filter((name) => !names.includes(name) && name !== 'affine')).toEqual([]);
});

test('at least 60 of the 64 names that were compared are there, with at most 66 kernels', () => {
  // biome-ignore format: a list
  const compared = [
    'stack', 'split', 'flip', 'tile', 'repeat', 'gather', 'scatterAdd', 'take', 'argmax', 'argmin', 'topk', 'sort', 'argsort', 'cumsum',
    'min', 'prod', 'clip', 'pow', 'log1p', 'expm1', 'erf', 'gelu', 'sigmoid', 'softplus', 'elu', 'leakyRelu', 'layerNorm', 'oneHot',
    'where', 'less', 'lessEqual', 'greater', 'greaterEqual', 'equal', 'notEqual', 'logicalAnd', 'logicalOr', 'logicalNot', 'norm',
    'variance', 'std', 'einsum', 'conv1d', 'conv2d', 'maxPool2d', 'avgPool2d', 'tril', 'triu', 'eye', 'arange', 'linspace',
    'randomUniform', 'randomNormal', 'randomIntegers', 'randomPermutation', 'dropout', 'cast', 'stridedSlice', 'at', 'pad', 'squeeze',
    'unsqueeze', 'logsumexp', 'allclose',
  ];
  expect(compared.length).toBe(64);
  expect(compared.filter((name) => !names.includes(name))).toEqual([]);
  expect(Object.keys(contract).length).toBeLessThanOrEqual(66);
});
