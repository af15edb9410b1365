/** @file Operations called with what is no operand: the error names the operation that was called, not one that it is made of. */
import { readFileSync } from 'node:fs';
import * as ag from '@blt-ts/autograd';
import { createReferenceBackend, scope, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const chapters = JSON.parse(readFileSync(new URL('../../scripts/ops-names.json', import.meta.url), 'utf8')) as [
  string,
  string[][],
][];
const names = chapters.flatMap(([title, rows]) =>
  // Those take numbers, or functions.
  ['Made of numbers', 'Gradients'].includes(title) ? [] : rows.map(([ours]) => ours),
);
const backend = createReferenceBackend();

/** The message that a call ends with; undefined if it ends well. */
function messageOf(name: string, args: readonly unknown[]): string | undefined {
  try {
    scope(() => {
      (ag as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[name](...args);
    });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('an operation that is called without a tensor names itself', () => {
  test.each(names)('%s', (name) => {
    for (const args of [[], [1, 2], ['a', 'b'], [null, null], [{}], [[1, 2]]]) {
      expect(messageOf(name, args), JSON.stringify(args)).toMatch(new RegExp(`^${name}: `));
    }
  });
});

describe('an operation whose second argument is wrong names itself, unless it takes none', () => {
  test.each(names)('%s', (name) => {
    for (const wrong of ['a', { shape: [1] }, true]) {
      const message = messageOf(name, [tensor([1, 2, 3], [3], { backend }), wrong]);
      if (message !== undefined) expect(message, String(wrong)).toMatch(new RegExp(`^${name}: `));
    }
  });
});

test('a factor that is no number makes no NaN', () => {
  expect(messageOf('affine', [tensor([1], [1], { backend }), '2'])).toBe(
    'affine: scale and shift must be numbers, got the string "2" and 0',
  );
});
