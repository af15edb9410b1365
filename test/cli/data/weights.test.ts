/** @file Weights of sources on the command line: what is a weight, what is a name, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { weightedSources } from '../../../packages/cli/src/data/weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'blt-weights-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => {
  writeFileSync(join(folder, name), 'text');
  return join(folder, name);
};
const a = file('a.txt');
const literal = file('key=value');
const numbered = file('run=3');
const both = file('a.txt=2');
const small = file('a.txt=0.04');

test('the weight is what stands behind the last =, and 1 where none stands beside others', () => {
  expect(weightedSources([`${a}=3`, literal])).toEqual({ sources: [a, literal], weights: [3, 1] });
  expect(weightedSources([`${a}=.5`, '-=1e1', '@moby-dick=2'])).toEqual({
    sources: [a, '-', '@moby-dick'],
    weights: [0.5, 10, 2],
  });
  expect(weightedSources(['a', 'b'])).toEqual({ sources: ['a', 'b'], weights: null });
  expect(weightedSources([`${a}=3`])).toEqual({ sources: [a], weights: null });
});

test('a file whose name holds = is that file, with a weight behind it or not; so is a pattern', () => {
  expect(weightedSources([numbered, `${numbered}=4`])).toEqual({ sources: [numbered, numbered], weights: [1, 4] });
  expect(weightedSources(['x=*.txt', `${a}=4`])).toEqual({ sources: ['x=*.txt', a], weights: [1, 4] });
  // Not found, and said so by its whole name.
  expect(weightedSources(['missing=name.txt']).sources).toEqual(['missing=name.txt']);
});

test.each([
  [`${a}=0`, 'the weight 0 must be a number above 0'],
  [`${a}=-1`, 'the weight -1 must be a number above 0'],
  [`${a}=1e999`, 'the weight 1e999 must be between 1e-9 and 1000000000'],
  [`${a}=1e308`, 'the weight 1e308 must be between'],
  [`${a}=1e-320`, 'the weight 1e-320 must be between'],
  [`${a}=x`, "the weight 'x' is not a number"],
  [`${a}=`, "the weight '' is not a number"],
  ['=3', 'gives a weight to nothing'],
  [small, `give ${small}=1 for the file, or ${a}=0.040 for the weight`],
  [both, `give ${both}=1 for the file, or ${a}=2.0 for the weight`],
])('%s is refused', (argument, message) => {
  expect(() => weightedSources([argument, 'b'])).toThrow(message);
});
