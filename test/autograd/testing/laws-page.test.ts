/** @file docs/laws.md lists every exported law with its number of cases, and a test that exists. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  forwardLaws,
  gradientLaws,
  kernelNames,
  type Law,
  law,
  libraryNames,
  libraryTable,
  memoryLaws,
  operationOf,
  rowOf,
  tested,
  threadLaws,
  vmapLaws,
} from '@blt-ts/autograd/testing';
import { modelLaws } from '@blt-ts/blt/testing';
import { createReferenceBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendMutants } from './backend-mutants.ts';
import { batchingMutants } from './batching-mutants.ts';
import { ruleMutants } from './rule-mutants.ts';

const page = readFileSync(fileURLToPath(new URL('../../../docs/laws.md', import.meta.url)), 'utf8');
const backend = createReferenceBackend();

/** Statement, function and number of cases. */
type Line = readonly [statement: string, of: string, cases: number];

const lines = (of: string, laws: readonly Law[], from: RegExp | string, to: string): Line[] =>
  laws.map(({ name, cases }) => [name.replace(from, to), of, cases]);

test('the list is that of the code', () => {
  const model = {
    name: 'M',
    classes: 1,
    texts: fc.constant(Int32Array.of(0)),
    logits: () => [],
    incremental: () => new Float32Array(),
  };
  const operations = kernelNames.filter((kernel) => 'operation' in rowOf(kernel).gradient);
  const all = [
    ...kernelNames.flatMap((kernel) => lines('forwardLaws', forwardLaws(backend, { kernels: [kernel] }), /^\w+/, 'K')),
    ...operations.flatMap((kernel) =>
      lines('gradientLaws', gradientLaws(operationOf(kernel), { backends: [tested(backend, 'B')] }), /^\w+/, 'K'),
    ),
    ...libraryNames.flatMap((name) => [
      ...lines('forwardLaws', forwardLaws(backend, { operations: [name] }), name, 'K'),
      ...(libraryTable[name].whole ? [] : lines('gradientLaws', gradientLaws(operationOf(name)), name, 'K')),
    ]),
    ...[...kernelNames, ...libraryNames].flatMap((name) => lines('vmapLaws', vmapLaws(name), name, 'K')),
    ...lines('threadLaws', threadLaws(backend, backend), /^.*\)(?=:)/, 'J'),
    ...lines('memoryLaws', memoryLaws({ name: 'L', turn: () => {}, backend }), /^$/, ''),
    ...lines('modelLaws', modelLaws(model), /^$/, ''),
  ];
  const listed = [...page.matchAll(/^\| `([^`]+)` \| `(\w+)` \| (\d+) \|/gm)].map(([, a, b, n]) => [a, b, Number(n)]);
  const unique = [...new Set(all.map((line) => JSON.stringify(line)))];
  expect(listed.map((line) => JSON.stringify(line)).sort()).toEqual(unique.sort());
});

test('the numbers of faults are those of the test', () => {
  expect(page).toContain(`${backendMutants.length} of ${backendMutants.length} |`);
  expect(page).toContain(`${batchingMutants.length} of ${batchingMutants.length} |`);
  expect(page).toContain(`${ruleMutants.length} of ${ruleMutants.length} |`);
});

test('a law without a runner: it throws, or does not', () => {
  const small = law('numbers are small', fc.nat({ max: 1000 }), 50, (n) => {
    if (n > 10) throw new Error(`${n} is large`);
  });
  expect(() => small.check({ seed: 1 })).toThrow(/^the law "numbers are small" is broken.*Counterexample: \[11\]/s);
  expect(() => small.check({ seed: 1, cases: 0 })).not.toThrow();
});
