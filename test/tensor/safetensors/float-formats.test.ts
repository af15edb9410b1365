/** @file Conversions between f32, f16 and bf16, against bit-by-bit definitions. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../../packages/tensor/src/safetensors/float-formats.ts';
import { runs } from '../../support/runs.ts';

const allCodes = new Uint16Array(65536).map((_, i) => i);

/** The formats by their definition: sign * 2^e * fraction, in float64. `bias` and `fractionBits` are the format's. */
function codeValue(code: number, fractionBits: number, bias: number): number {
  const exponentBits = 15 - fractionBits;
  const sign = code >> 15 ? -1 : 1;
  const exponent = (code & 0x7fff) >> fractionBits;
  const fraction = code & (2 ** fractionBits - 1);
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

const FORMATS = [
  { name: 'bfloat16', encode: f32ToBf16, decode: bf16ToF32, fractionBits: 7, bias: 127, infinity: 0x7f80 },
  { name: 'float16', encode: f32ToF16, decode: f16ToF32, fractionBits: 10, bias: 15, infinity: 0x7c00 },
] as const;

const bitsOf = (x: Float32Array) => new Uint32Array(x.buffer, x.byteOffset, x.length);
const neighbour = (x: number, steps: number): number => {
  const value = new Float32Array([x]);
  bitsOf(value)[0] += steps;
  return value[0];
};

describe.each(FORMATS)('$name', ({ encode, decode, fractionBits, bias, infinity }) => {
  test('each of the 65536 codes has the value that the format defines', () => {
    const decoded = decode(allCodes);
    const expected = Float64Array.from(allCodes, (code) => codeValue(code, fractionBits, bias));
    expect(decoded.every((value, code) => Object.is(value, expected[code]))).toBe(true);
  });

  test('each of the 65536 codes survives a round trip, NaN payloads and -0 too', () => {
    expect(encode(decode(allCodes))).toEqual(allCodes);
  });

  test('a value halfway between two neighbours goes to the even code, others to the nearest', () => {
    for (let code = 0; code < infinity; code++) {
      const low = codeValue(code, fractionBits, bias);
      // Infinity stands where the next value would be if the format went on.
      const next =
        code + 1 === infinity
          ? 2 * low - codeValue(code - 1, fractionBits, bias)
          : codeValue(code + 1, fractionBits, bias);
      const middle = (low + next) / 2;
      const even = code % 2 === 0 ? code : code + 1;
      const inputs = new Float32Array([middle, neighbour(middle, -1), neighbour(middle, 1)]);
      const expected = [even, code, code + 1];
      const got = encode(inputs);
      const negative = encode(inputs.map((x) => -x));
      for (let i = 0; i < 3; i++) {
        if (got[i] !== expected[i] || negative[i] !== (expected[i] | 0x8000)) {
          expect.fail(`${inputs[i]} became ${got[i]} and ${negative[i]} when negated, expected ${expected[i]}`);
        }
      }
    }
  });

  test('any float32 becomes the nearest code: no code is closer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7f7fffff }), (bits) => {
        const x = new Float32Array(new Uint32Array([bits]).buffer);
        const [code] = encode(x);
        fc.pre(code < infinity);
        const error = Math.abs(codeValue(code, fractionBits, bias) - x[0]);
        for (const other of [code - 1, code + 1].filter((c) => c >= 0 && c < infinity)) {
          expect(error).toBeLessThanOrEqual(Math.abs(codeValue(other, fractionBits, bias) - x[0]));
        }
      }),
      { numRuns: runs(500) },
    );
  });

  test('NaN stays NaN with its sign, infinity stays infinity', () => {
    const x = new Float32Array(6);
    bitsOf(x).set([0x7f800001, 0xff800001, 0x7fffffff, 0xffc00000, 0x7f800000, 0xff800000]);
    const codes = encode(x);
    expect([...decode(codes)].map(Number.isNaN)).toEqual([true, true, true, true, false, false]);
    expect([...codes].map((code) => code >> 15)).toEqual([0, 1, 0, 1, 0, 1]);
    expect([codes[4], codes[5]]).toEqual([infinity, infinity | 0x8000]);
  });

  test('vectors may be views, and out must have the same length', () => {
    const out = new Float32Array(4);
    decode(allCodes.subarray(5, 7), out.subarray(1, 3));
    expect([...out]).toEqual(
      [0, codeValue(5, fractionBits, bias), codeValue(6, fractionBits, bias), 0].map(Math.fround),
    );
    expect([...encode(out.subarray(1, 3))]).toEqual([5, 6]);
    expect(() => encode(new Float32Array(3), new Uint16Array(2))).toThrow(/out must have the 3 elements of src, got 2/);
    expect(() => decode(new Uint16Array(3), new Float32Array(2))).toThrow(RangeError);
  });
});

test('known values', () => {
  expect([...f32ToBf16(new Float32Array([1, -2, 3.14159274, 1e-40, 3.4e38]))]).toEqual([
    0x3f80, 0xc000, 0x4049, 0x0001, 0x7f80,
  ]);
  expect([...f32ToF16(new Float32Array([1, -2, 65504, 65519.996, 65520, 2 ** -25, 2 ** -24]))]).toEqual([
    0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0, 1,
  ]);
});
