/** @file The exported laws find faults: backends wrong in one kernel, gradient and batching rules that are wrong, each by a small case. */
import {
  type CheckOptions,
  forwardLaws,
  gradientLaws,
  type Law,
  operationOf,
  vmapLaws,
} from '@blt-ts/autograd/testing';
import { describe, expect, test } from 'vitest';
import { backendMutants, wrongBackend } from './backend-mutants.ts';
import { batchingMutants, withWrongBatching } from './batching-mutants.ts';
import { ruleMutants, withWrongRule } from './rule-mutants.ts';

/** The first law that is broken, in words; undefined if all hold. */
function firstBroken(laws: readonly Law[], options: CheckOptions = {}): string | undefined {
  for (const law of laws) {
    try {
      law.check({ seed: 7, ...options });
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

/** Numbers in the smallest case that breaks a law, as the message has it. */
function expectSmall(message: string | undefined): void {
  expect(message, 'no law is broken').toBeDefined();
  const [, shrunk] = /Counterexample: (.*)\nShrunk \d+ time/.exec(message!) ?? [];
  expect(shrunk, message).toBeDefined();
  const [{ ins }] = JSON.parse(shrunk) as { ins: { values: number[] }[] }[];
  const largest = ins.reduce((most, { values }) => Math.max(most, values.length), 0);
  expect(largest, shrunk).toBeLessThanOrEqual(20);
}

describe('a backend that is wrong in one kernel breaks its laws, and is shown by a small case', () => {
  test.each(backendMutants.map((mutant) => ({ mutant, ...mutant })))('$name', ({ mutant, kernel }) => {
    expectSmall(firstBroken(forwardLaws(wrongBackend(mutant), { kernels: [kernel] })));
  });
  test('there are twenty at least', () => expect(backendMutants.length).toBeGreaterThanOrEqual(20));
});

describe('a gradient rule that is wrong breaks the laws of its operation, and is shown by a small case', () => {
  test.each(ruleMutants.map((mutant) => ({ mutant, ...mutant })))('$name', ({ mutant, kernel }) => {
    expectSmall(withWrongRule(mutant, () => firstBroken(gradientLaws(operationOf(kernel)))));
  });
  test('there are twenty at least', () => expect(ruleMutants.length).toBeGreaterThanOrEqual(20));
});

describe('a batching rule that is wrong breaks the laws of vmap', () => {
  test.each(batchingMutants.map((mutant) => ({ mutant, ...mutant })))('$name', ({ mutant, kernel }) => {
    const broken = withWrongBatching(mutant, () => firstBroken(vmapLaws(kernel), { shrink: false, cases: 100 }));
    expect(broken, 'no law is broken').toBeDefined();
  });
  test('there are twenty at least', () => expect(batchingMutants.length).toBeGreaterThanOrEqual(20));
});

test('a broken law says its name, the seed, the case and the reason', () => {
  const [mutant] = backendMutants;
  expect(firstBroken(forwardLaws(wrongBackend(mutant), { kernels: ['neg'] }))).toMatch(
    /^the law "neg equals its definition and writes every element" is broken\. Property failed after \d+ tests\n\{ seed: 7, .*\nCounterexample: /,
  );
});
