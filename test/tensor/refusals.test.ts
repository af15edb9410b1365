/** @file Things that tensors are not made of, and options that do not exist: one sentence each. */
import { createReferenceBackend, createWasmBackend, full, run, setDefaultBackend, tensor, zeros } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../support/property.ts';

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;
const i32 = { dtype: 'i32' } as const;
const fits = 'does not fit dtype i32, which holds whole numbers from -2^31 to 2^31 - 1';
const numbers = 'tensor: values are numbers, arrays of them or typed arrays, got';

test.each<[string, () => unknown, string]>([
  ['a number too large', () => tensor([3e9], [1], i32), `tensor: 3000000000 at position 0 ${fits}`],
  ['2^31', () => tensor([0, 2 ** 31], [2], i32), `tensor: 2147483648 at position 1 ${fits}`],
  ['NaN', () => tensor([Number.NaN], [1], i32), `tensor: NaN at position 0 ${fits}`],
  ['a fraction', () => tensor([0, 1.5], [2], i32), `tensor: 1.5 at position 1 ${fits}`],
  ['a fraction in a typed array', () => tensor(Float32Array.of(1.5), [1], i32), `tensor: 1.5 at position 0 ${fits}`],
  ['a fraction in full', () => full([2], 0.5, i32), `tensor: 0.5 at position 0 ${fits}`],
  ['a fraction in assign', () => zeros([1], i32).assign([0.5]), `assign: 0.5 at position 0 ${fits}`],
  [
    'another dtype',
    () => tensor([1], [1], any({ dtype: 'float64' })),
    'tensor: dtype must be f32 or i32, got the string "float64"',
  ],
  [
    'another dtype in zeros',
    () => zeros([9999], any({ dtype: 'f64' })),
    'full: dtype must be f32 or i32, got the string "f64"',
  ],
  ['strings', () => tensor(any(['a'])), `${numbers} the string "a"`],
  ['a string', () => tensor(any('12')), `${numbers} the string "12"`],
  ['a string with a shape', () => tensor(any('12'), [2]), `${numbers} the string "12"`],
  ['null', () => tensor(any(null)), `${numbers} null`],
  ['undefined', () => tensor(any(undefined)), `${numbers} undefined`],
  ['undefined among numbers', () => tensor(any([1, undefined])), `${numbers} undefined`],
  ['a string among numbers, with a shape', () => tensor(any([1, '2']), [2]), `${numbers} the string "2"`],
  ['bigints', () => tensor(any(BigInt64Array.of(1n))), `${numbers} a bigint`],
  ['an object', () => tensor(any({ a: 1 })), `${numbers} a plain object`],
  ['a tensor', () => tensor(any(zeros([1]))), `${numbers} a tensor`],
  [
    'a string in full',
    () => full([1], any('1')),
    'full: values are numbers, arrays of them or typed arrays, got the string "1"',
  ],
  [
    'a string in assign',
    () => zeros([1]).assign(any('1')),
    'assign: values are numbers, arrays of them or typed arrays, got the string "1"',
  ],
  ['a number as shape', () => tensor([1, 2], any(2)), 'tensor: a shape is an array of sizes such as [2,3], got 2'],
  [
    'options as shape',
    () => tensor([1], any({ dtype: 'i32' })),
    'tensor: a shape is an array of sizes such as [2,3], got a plain object',
  ],
  [
    'a misspelt option',
    () => tensor([1], [1], any({ dtpye: 'i32' })),
    'tensor: there is no option dtpye, only dtype, backend',
  ],
  [
    'no object as options',
    () => zeros([1], any('i32')),
    'full: options are an object such as { dtype: ... }, got the string "i32"',
  ],
  [
    'the name of a backend',
    () => tensor([1], [1], any({ backend: 'wasm' })),
    'tensor: backend must be what createWasmBackend or another such function made, got the string "wasm"',
  ],
  [
    'a promise of a backend',
    () => setDefaultBackend(any(Promise.resolve())),
    'setDefaultBackend: backend must be what createWasmBackend or another such function made, got a promise: await it first',
  ],
  [
    'an option of the wasm backend',
    () => createWasmBackend(any({ thread: 2 })),
    'createWasmBackend: there is no option thread, only maximumBytes, deterministic, batchInvariant, wide, threads, unownedBytes, outsideBytes, leastShared, sharing',
  ],
  [
    'an option of the reference',
    () => createReferenceBackend(any({ dtype: 'f64' })),
    'createReferenceBackend: there is no option dtype, only precision',
  ],
  ['an array for a tensor', () => run('neg', any([[1, 2]]), {}), 'neg: input 0 must be a tensor, got an array'],
])('%s', (_, f, message) => {
  let said = 'nothing was thrown';
  try {
    f();
  } catch (error) {
    said = (error as Error).message;
  }
  expect(said).toBe(message);
});

describe('a tensor of another copy of the package', () => {
  const { storage, shape, freed } = zeros([1]);
  const foreign = { storage, shape, freed };
  test('is named as what it is', () => {
    expect(() => run('neg', any([foreign]), {})).toThrow(
      'neg: input 0 must be a tensor, got a tensor of another copy of @blt-ts/tensor: two are loaded, and `npm ls @blt-ts/tensor` shows where',
    );
  });
});

property(
  'an i32 holds every whole number of 32 bits as it is',
  fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 1 }),
  50,
  (values) => {
    expect([...tensor(values, [values.length], i32).readSync()]).toEqual(values);
  },
);
