import { readSafetensors, writeSafetensors } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  packRows,
  packTensors,
  unpackRows,
  unpackTensors,
} from '../../../../packages/cli/src/play/worker/packed-weights.ts';
import { runs } from '../../../support/runs.ts';

/** A matrix of whole numbers / 1024, with a row of zeros at its end. */
const matrix = fc
  .record({ rows: fc.integer({ min: 1, max: 5 }), width: fc.integer({ min: 1, max: 9 }) })
  .chain(({ rows, width }) =>
    fc
      .array(fc.integer({ min: -4096, max: 4096 }), { minLength: rows * width, maxLength: rows * width })
      .map((whole) => ({
        rows: rows + 1,
        width,
        values: Float32Array.from([...whole.map((i) => i / 1024), ...Array.from({ length: width }, () => 0)]),
      })),
  );

test('a packed row keeps its values to 0.7 of its scale, and zeros exactly', () => {
  fc.assert(
    fc.property(matrix, fc.integer({ min: 2, max: 8 }), ({ rows, width, values }, bits) => {
      const { codes, scales } = packRows(values, rows, bits);
      const most = 2 ** (bits - 1) - 1;
      expect(codes.every((code) => Math.abs(code) <= most)).toBe(true);
      const [scale] = [
        ...unpackTensors(
          readSafetensors(writeSafetensors(packTensors([{ name: 'a', shape: [rows, width], values }], bits))),
        ).values(),
      ];
      for (let row = 0; row < rows; row++) {
        const original = values.subarray(row * width, (row + 1) * width);
        const largest = original.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        for (let i = 0; i < width; i++) {
          const off = Math.abs(scale.values[row * width + i] - original[i]);
          // bfloat16 has 8 bits, so a scale may be 1/256 too large.
          expect(off).toBeLessThanOrEqual((0.7 * largest * (1 + 2 ** -8)) / most);
        }
      }
      expect([...scale.values.subarray((rows - 1) * width)].every((value) => value === 0)).toBe(true);
      expect(scales[rows - 1]).toBe(0);
    }),
    { numRuns: runs(60) },
  );
});

test('the values are code times scale', () => {
  expect([...unpackRows(Int8Array.of(1, -2, 3, 4), Float32Array.of(0.5, 2))]).toEqual([0.5, -1, 6, 8]);
  // 7 / 3.5 = 2: with 4 bits the codes are -7 .. 7, and 0.5 is a bfloat16.
  const { codes, scales } = packRows(Float32Array.of(3.5, -1, 0.6, 0.1), 1, 4);
  expect([...codes]).toEqual([7, -2, 1, 0]);
  expect([...scales]).toEqual([0x3f00]);
});

test('a number of bits that int8 cannot hold is refused', () => {
  for (const bits of [1, 9, 2.5]) expect(() => packRows(Float32Array.of(1), 1, bits)).toThrow(`got ${bits}`);
});

test('vectors and unpacked tensors come back as they are', () => {
  const values = Float32Array.of(1.25, -3);
  const packed = writeSafetensors([
    ...packTensors([{ name: 'norm', shape: [2], values }], 4),
    ['plain', { dtype: 'F32', shape: [1, 2], data: values }],
  ]);
  const found = unpackTensors(readSafetensors(packed));
  expect([...found.keys()]).toEqual(['norm', 'plain']);
  for (const { values: read } of found.values()) expect(read).toEqual(values);
});
