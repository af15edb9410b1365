import {
  BYTE_OFFSET,
  learnMemory,
  MemoryMixture,
  memoryFileWithGain,
  memoryFromSafetensors,
  memoryToSafetensors,
  type TextMemory,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { readSafetensors, SafetensorsError, type SafetensorsInput, writeSafetensors } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const TEXT = new TextEncoder().encode(
  'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(20),
);
const FLAT = new Float32Array(VOCAB_SIZE);
const memory = () => learnMemory([TEXT]);
const file = memoryToSafetensors(memory());

/** The cost of each byte of a text, in nats. */
const costs = (of: TextMemory): number[] => {
  const mixture = new MemoryMixture(of);
  return [...TEXT.subarray(300, 700)].map((byte) => mixture.score(FLAT, VOCAB_SIZE, byte + BYTE_OFFSET));
};

/** The file with one tensor or word of the metadata put in another's place. */
function spoilt(name: string, tensor: SafetensorsInput | null, words: Record<string, string> = {}): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  const all = new Map<string, SafetensorsInput>(tensors);
  if (tensor) all.set(name, tensor);
  else all.delete(name);
  return writeSafetensors(all, { ...Object.fromEntries(metadata), ...words });
}

test('a memory read back predicts with the same bits, and is saved as the same bytes', () => {
  const { memory: back, heldOut } = memoryFromSafetensors(file);
  expect(heldOut).toBe(null);
  expect(memoryToSafetensors(back)).toEqual(file);
  expect(costs(back)).toEqual(costs(memory()));
});

test('the gain on held-out text comes back', () => {
  const gain = { alone: 2.5, withMemory: 2.25 };
  const with_ = memoryFileWithGain(file, gain);
  expect(memoryFromSafetensors(with_).heldOut).toEqual(gain);
  expect(costs(memoryFromSafetensors(with_).memory)).toEqual(costs(memory()));
});

describe('a file that is no memory is refused in one sentence', () => {
  const weights = readSafetensors(file).tensors.get('mixer.weight')!;
  const nan = Float64Array.from({ length: weights.shape[0] }, () => Number.NaN);
  const large = new Float64Array(weights.shape[0]).fill(1e9);
  const F64 = 'F64' as const;
  test.each([
    ['a model', spoilt('x', null, { format: 'pt' }), /no memory of format blt-memory, version 1/],
    ['another version', spoilt('x', null, { version: '2' }), /no memory of format blt-memory, version 1/],
    ['no text', spoilt('text', null), /has no tensor "text" of bytes/],
    ['text of floats', spoilt('text', { dtype: F64, shape: [1], data: new Float64Array(1) }), /"text" of bytes/],
    [
      'too long a text',
      spoilt('text', { dtype: 'U8', shape: [2 ** 22 + 1], data: new Uint8Array(2 ** 22 + 1) }),
      /text has 4194305 bytes, the most is 4194304/,
    ],
    ['a missing array', spoilt('mixer.weight', null), /"mixer.weight" is missing, it must be F64 \[\d+\]/],
    [
      'an array of another size',
      spoilt('map.0.seen', { dtype: F64, shape: [3], data: new Float64Array(3) }),
      /"map.0.seen" is F64 \[3\], it must be F64 \[4096\]/,
    ],
    ['NaN', spoilt('mixer.weight', { dtype: F64, shape: weights.shape, data: nan }), /"mixer.weight" holds NaN/],
    [
      'huge weights',
      spoilt('mixer.weight', { dtype: F64, shape: weights.shape, data: large }),
      /"mixer.weight" holds 1000000000, it must be -1000 to 1000/,
    ],
    ['half of it', file.subarray(0, file.length >> 1), /./],
    ['nothing', new Uint8Array(0), /./],
  ])('%s', (_, bytes, message) => {
    expect(() => memoryFromSafetensors(bytes)).toThrow(SafetensorsError);
    expect(() => memoryFromSafetensors(bytes)).toThrow(message);
  });
});
