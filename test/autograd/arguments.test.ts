/** @file Arguments that an operation would not look at, or that would make NaN of everything, are refused in a sentence. */
import * as ag from '@blt-ts/autograd';
import '@blt-ts/autograd/methods';
import { createReferenceBackend, Random, readSafetensors, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;
const x = tensor([[1, 2, 3]]);
const line = tensor([1, 2, 3]);
const backend = createReferenceBackend();
const random = () => new Random(1);
const image = tensor([[[1, 2, 3, 4]]]);

test.each<[string, () => unknown, string]>([
  [
    'rmsNorm with options',
    () => ag.rmsNorm(x, line, any({ eps: 1e-6 })),
    'rmsNorm: eps must be a number, got a plain object',
  ],
  ['rmsNorm with NaN', () => ag.rmsNorm(x, line, Number.NaN), 'rmsNorm: eps must be a number, got NaN'],
  ['layerNorm with NaN', () => ag.layerNorm(x, null, null, Number.NaN), 'layerNorm: eps must be a number, got NaN'],
  [
    'randomNormal with options',
    () => ag.randomNormal(random(), [2], any({ backend })),
    'randomNormal: mean must be a number, got a plain object',
  ],
  [
    'randomNormal with a text',
    () => ag.randomNormal(random(), [2], 0, any('1')),
    'randomNormal: std must be a number, got the string "1"',
  ],
  [
    'randomUniform with options',
    () => ag.randomUniform(random(), [2], any({ backend })),
    'randomUniform: low must be a number, got a plain object',
  ],
  [
    'randomUniform with texts',
    () => ag.randomUniform(random(), [2], any('0'), any('1')),
    'randomUniform: low must be a number, got the string "0"',
  ],
  [
    'softmax with an axis',
    () => any(ag.softmax)(x, 0),
    'softmax: it takes no further argument, got 0; it runs over the last axis',
  ],
  [
    'softmax with options',
    () => any(ag.softmax)(x, { axis: 0 }),
    'softmax: it takes no further argument, got a plain object',
  ],
  ['softmax as a method', () => any(x).softmax(0), 'softmax: it takes no further argument, got 0'],
  ['logSoftmax with an axis', () => any(ag.logSoftmax)(x, 0), 'logSoftmax: it takes no further argument, got 0'],
  [
    'linear with a bias',
    () => any(ag.linear)(x, x, line),
    'linear: it takes no further argument, got a tensor; add(linear(x, weight), bias) adds a bias',
  ],
  [
    'crossEntropy with options',
    () => any(x).crossEntropy(tensor(Int32Array.of(0)), { reduction: 'sum' }),
    'crossEntropy: it takes no further argument, got a plain object',
  ],
  [
    'a precision that there is not',
    () => createReferenceBackend(any({ precision: 'float64' })),
    'createReferenceBackend: precision must be f32 or f64, got the string "float64"',
  ],
  [
    'a file as a buffer',
    () => ag.loadSafetensors(any(new ArrayBuffer(8))),
    'a file is a Uint8Array, got a ArrayBuffer; new Uint8Array(buffer) makes one',
  ],
  [
    'a file as a promise',
    () => readSafetensors(any(Promise.resolve())),
    'a file is a Uint8Array, got a promise: await it first',
  ],
  ['pow of a number alone', () => any(ag.pow)(2), 'pow: the second operand must be a tensor, got undefined'],
  ['pow of two numbers', () => ag.pow(2, 3), 'pow: needs at least one tensor, got two numbers'],
  ['pow of nothing', () => any(ag.pow)(undefined, 0), 'pow: the first operand must be a tensor, got undefined'],
  ['pow by a text', () => any(ag.pow)(x, '2'), 'pow: b must be a tensor, got the string "2"'],
  [
    'pooling without a window',
    () => any(ag.maxPool1d)(image),
    'maxPool1d: window [undefined] must be 1 whole numbers, each at least 1',
  ],
  [
    'a padding by name',
    () => ag.maxPool1d(image, 2, any({ padding: 'same' })),
    'maxPool1d: padding [same] must be 1 whole numbers',
  ],
  [
    'one stride as a number',
    () => ag.stridedSlice(line, [0], [2], any(2)),
    'stridedSlice: strides must be an array such as [0, 1], got 2',
  ],
  ['an odd head', () => ag.ropeTable(backend, 1e4, 3, 4), 'ropeTable: headDim must be an even number above 0, got 3'],
])('%s', (_, f, message) => {
  expect(f).toThrow(message);
});

test('bounds of a strided slice that are null are the ends of the axis', () => {
  const sliced = (begin: (number | null)[], end: (number | null)[], step: number) =>
    ag.stridedSlice(line, begin, end, [step]).tolist();
  expect(sliced([null], [null], 1)).toEqual([1, 2, 3]);
  expect(sliced([null], [null], -1)).toEqual([3, 2, 1]);
  expect(sliced([1], [null], 1)).toEqual([2, 3]);
  expect(sliced([null], [0], -1)).toEqual([3, 2]);
});

describe('shapes and dtypes', () => {
  test('that the kernel of an own op makes are checked', () => {
    const shaped = (shape: number[]) =>
      ag.defineOp({ name: 'shaped', inputs: ['x'], kernel: { shape: () => shape, loop: () => {} } });
    expect(() => shaped([-1])(line)).toThrow('shaped: shape [-1] has size -1; sizes are whole numbers >= 0');
    expect(() => shaped(any(3))(line)).toThrow('shaped: a shape is an array of sizes such as [2,3], got 3');
  });

  test('of a file are those of the tree that it must be like', () => {
    const file = ag.saveSafetensors({ w: tensor(Int32Array.of(1, 2)) });
    const load = (w: Tensor) => ag.loadSafetensors(file, { like: { w } }).w;
    expect(() => load(tensor([1, 2]))).toThrow('loadSafetensors: w is i32 in the file, it must be f32');
    expect(load(tensor(Int32Array.of(0, 0))).dtype).toBe('i32');
  });
});
