/** @file Safetensors files survive a round trip, and broken ones are refused. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../../packages/tensor/src/numerics/random.ts';
import {
  elementType,
  SAFETENSORS_DTYPES,
  type SafetensorsDtype,
  SafetensorsError,
} from '../../../packages/tensor/src/safetensors/format.ts';
import { parseSafetensorsHeader } from '../../../packages/tensor/src/safetensors/header.ts';
import {
  layoutSafetensors,
  readSafetensors,
  type SafetensorsInput,
  toFloat32,
  toInt32,
  writeSafetensors,
} from '../../../packages/tensor/src/safetensors/write-read.ts';
import { runs } from '../../support/runs.ts';
import { equalFiles, fuzzSafetensors, readOrRefuse } from './fuzz.ts';
import { MUTATIONS } from './mutations.ts';
import { randomSample } from './samples.ts';

const fixture = JSON.parse(readFileSync(new URL('../../fixtures/safetensors.json', import.meta.url), 'utf8'));

/** Any file: all dtypes, rank 0 to 4, sizes with zeros, any bytes (NaN payloads, -0), any well-formed names. */
const anyTensor = fc
  .record({
    dtype: fc.constantFrom(...SAFETENSORS_DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    seed: fc.integer({ min: 0 }),
  })
  .map(({ dtype, shape, seed }): SafetensorsInput => {
    const { bits } = elementType(dtype)!;
    const whole = bits < 8 ? [...shape, 4] : shape;
    const random = new Random(seed);
    const bytes = (whole.reduce((a, b) => a * b, 1) * bits) / 8;
    return { dtype, shape: whole, data: Uint8Array.from({ length: bytes }, () => random.integer(256)) };
  });
const anyName = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor', 'a.weight', ''));
const anyTensors = fc
  .uniqueArray(fc.tuple(anyName, anyTensor), { selector: ([name]) => name, maxLength: 6 })
  .filter((tensors) => tensors.every(([name]) => name !== '__metadata__'));
const anyMetadata = fc.array(fc.tuple(anyName, anyName), { maxLength: 3 }).map((entries) => new Map(entries));

const f32 = (...values: number[]) => new Float32Array(values);
const raw = (dtype: SafetensorsDtype, data: SafetensorsInput['data'], length: number) => {
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype, shape: [length], data: view };
};

describe('writing', () => {
  test('read(write(x)) is x, bit for bit', () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        const file = readSafetensors(writeSafetensors(tensors, metadata));
        const expected = new Map(
          tensors.map(([name, t]) => [name, { ...t, shape: [...t.shape], data: t.data as Uint8Array }]),
        );
        expect(equalFiles(file, { tensors: expected, metadata })).toBe(true);
      }),
      { numRuns: runs(200) },
    );
  });

  test('the order of tensors and metadata does not change the bytes', () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, fc.integer({ min: 0 }), (tensors, metadata, seed) => {
        const shuffled = new Map(new Random(seed).shuffle([...tensors]));
        const again = writeSafetensors(shuffled, new Map([...metadata].reverse()));
        expect(again).toEqual(writeSafetensors(tensors, metadata));
      }),
      { numRuns: runs(50) },
    );
  });

  test('the data starts on a multiple of 8 and each tensor on a multiple of its element size', () => {
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        const bytes = writeSafetensors(tensors, metadata);
        const header = parseSafetensorsHeader(bytes, bytes.length);
        expect(header.dataStart % 8).toBe(0);
        for (const { dtype, begin } of header.tensors.values()) {
          expect(begin % Math.max(1, elementType(dtype)!.bits / 8)).toBe(0);
        }
      }),
      { numRuns: runs(50) },
    );
  });

  test('a layout and the pieces in its order are the whole file', () => {
    fc.assert(
      fc.property(anyTensors, (tensors) => {
        const { header, tensors: spans, dataSize } = layoutSafetensors(tensors);
        const given = new Map(tensors);
        const pieces = [...spans.keys()].map((name) => given.get(name)!.data as Uint8Array);
        expect(pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(dataSize);
        expect(new Uint8Array(Buffer.concat([header, ...pieces]))).toEqual(writeSafetensors(tensors));
      }),
      { numRuns: runs(30) },
    );
  });

  test('typed arrays of every kind, also as views into larger buffers', () => {
    const within = f32(9, 1, Number.NaN, -0, 9).subarray(1, 4);
    const file = readSafetensors(
      writeSafetensors({
        *[Symbol.iterator]() {
          yield ['f', { dtype: 'F32', shape: [3], data: within }] as const;
          yield ['b', { dtype: 'BF16', shape: [1], data: new Uint16Array([0x3f80]) }] as const;
          yield ['i', { dtype: 'I64', shape: [], data: new BigInt64Array([-5n]) }] as const;
        },
      }),
    );
    expect(Object.is(toFloat32(file.tensors.get('f')!)[2], -0)).toBe(true);
    expect([...toFloat32(file.tensors.get('b')!)]).toEqual([1]);
    expect([...toInt32(file.tensors.get('i')!)]).toEqual([-5]);
  });

  test.each([
    [
      'a name twice',
      [
        ['a', raw('U8', f32(), 0)],
        ['a', raw('U8', f32(), 0)],
      ],
      /"a" is given twice/,
    ],
    ['the reserved name', [['__metadata__', raw('U8', f32(), 0)]], /reserved/],
    ['half of a surrogate pair', [['\ud800', raw('U8', f32(), 0)]], /surrogate/],
    [
      'another array type',
      [['a', { dtype: 'BF16', shape: [2], data: f32(1) }]],
      /BF16 is held in a Uint16Array .* got a Float32Array/,
    ],
    [
      'another size',
      [['a', { dtype: 'F32', shape: [2, 3], data: f32(1) }]],
      /"a": F32 \[2,3\] needs 24 bytes, data has 4/,
    ],
    [
      'data left over',
      [['a', { dtype: 'F32', shape: [], data: f32(1, 2) }]],
      /"a": F32 \[\] needs 4 bytes, data has 8/,
    ],
    ['a size that is no whole number', [['a', { dtype: 'F32', shape: [1.5], data: f32(1) }]], /size 1.5/],
    ['an unknown dtype', [['a', { dtype: 'F31' as 'F32', shape: [1], data: f32(1) }]], /unknown dtype "F31"/],
    ['a name longer than a header may be', [['a'.repeat(25_000_000), raw('U8', f32(), 0)]], /limits are 25000000/],
  ] as [string, [string, SafetensorsInput][], RegExp][])('refuses %s', (_, tensors, message) => {
    expect(() => writeSafetensors(tensors)).toThrow(SafetensorsError);
    expect(() => writeSafetensors(tensors)).toThrow(message);
  });

  test('refuses metadata that is not text', () => {
    expect(() => writeSafetensors([], { epoch: 3 as unknown as string })).toThrow(
      /"epoch" must be a string, got number/,
    );
    expect(() => writeSafetensors([], { a: '\udfff' })).toThrow(/surrogate/);
  });
});

describe('decoding', () => {
  test('floats: F32 bit for bit, F16 and BF16 exact, F64 rounded', () => {
    const bits = new Uint32Array([0x7fc01234, 0xff800001, 0x80000000, 1]);
    const f = toFloat32(raw('F32', new Float32Array(bits.buffer), 4));
    expect(new Uint32Array(f.buffer)).toEqual(bits);
    expect([...toFloat32(raw('F16', new Uint16Array([0x3c00, 0xfbff, 1]), 3))]).toEqual([1, -65504, 2 ** -24]);
    expect([...toFloat32(raw('BF16', new Uint16Array([0x3f80, 0xc040]), 2))]).toEqual([1, -3]);
    expect([...toFloat32(raw('F64', new Float64Array([0.1, 1e300]), 2))]).toEqual([
      Math.fround(0.1),
      Number.POSITIVE_INFINITY,
    ]);
  });

  test('decoded values do not share memory with the file', () => {
    const data = f32(1, 2);
    toFloat32({ dtype: 'F32', shape: [2], data: new Uint8Array(data.buffer) })[0] = 7;
    toInt32({ dtype: 'U8', shape: [8], data: new Uint8Array(data.buffer) })[0] = 7;
    expect([...data]).toEqual([1, 2]);
  });

  test.each([
    ['I8', new Int8Array([-128, 127])],
    ['U8', new Uint8Array([0, 255])],
    ['I16', new Int16Array([-32768, 32767])],
    ['U16', new Uint16Array([0, 65535])],
    ['I32', new Int32Array([-0x80000000, 0x7fffffff])],
    ['U32', new Uint32Array([0, 0x7fffffff])],
    ['I64', new BigInt64Array([-0x80000000n, 0x7fffffffn])],
    ['U64', new BigUint64Array([0n, 0x7fffffffn])],
    ['BOOL', new Uint8Array([0, 1])],
  ] as const)('integers: the range of %s', (dtype, values) => {
    expect([...toInt32(raw(dtype, values, 2))]).toEqual(Array.from(values, Number));
  });

  test.each([
    ['U32', new Uint32Array([0x80000000]), /2147483648 at 0 does not fit in 32 bits/],
    ['I64', new BigInt64Array([-0x80000001n]), /-2147483649 at 0/],
    ['U64', new BigUint64Array([2n ** 64n - 1n]), /18446744073709551615 at 0/],
    ['BOOL', new Uint8Array([2]), /2 at 0 does not fit in 0 .. 1/],
    ['F32', f32(1), /"step": dtype F32 cannot be read as integers/],
  ] as const)('integers: %s out of range is refused', (dtype, values, message) => {
    expect(() => toInt32(raw(dtype, values, 1), 'step')).toThrow(SafetensorsError);
    expect(() => toInt32(raw(dtype, values, 1), 'step')).toThrow(message);
  });

  test('integers are not read as floats, nor data of another size', () => {
    expect(() => toFloat32(raw('I32', new Int32Array(1), 1), 'n')).toThrow(/"n": dtype I32 cannot be read as floats/);
    expect(() => toFloat32(raw('F32', f32(1), 2), 'n')).toThrow(/"n": F32 \[2\] needs 8 bytes, data has 4/);
  });
});

describe('the official library', () => {
  const tensors = new Map<string, SafetensorsInput>(
    fixture.tensors.map((t: { name: string; dtype: SafetensorsDtype; shape: number[]; hex: string }) => [
      t.name,
      { dtype: t.dtype, shape: t.shape, data: new Uint8Array(Buffer.from(t.hex, 'hex')) },
    ]),
  );
  const official = new Uint8Array(Buffer.from(fixture.file_base64, 'base64'));

  test('its file is read', () => {
    const expected = tensors as Parameters<typeof equalFiles>[1]['tensors'];
    expect(equalFiles(readSafetensors(official), { tensors: expected, metadata: new Map([['format', 'pt']]) })).toBe(
      true,
    );
  });

  test('the same tensors are written as the same bytes', () => {
    expect(writeSafetensors(tensors, fixture.metadata)).toEqual(official);
    expect(writeSafetensors([])).toEqual(new Uint8Array(Buffer.from(fixture.empty_file_base64, 'base64')));
  });
});

describe('damaged files', () => {
  test('every truncation of a valid file is refused', () => {
    for (let seed = 0; seed < runs(10); seed++) {
      const { bytes } = randomSample(new Random(seed));
      expect(readOrRefuse(bytes)).not.toBeInstanceOf(SafetensorsError);
      for (let length = 0; length < bytes.length; length++) {
        expect(readOrRefuse(bytes.subarray(0, length))).toBeInstanceOf(SafetensorsError);
        expect(() => parseSafetensorsHeader(bytes.subarray(0, length), bytes.length - 1)).toThrow(SafetensorsError);
      }
    }
  });

  test('every value of every byte of a header is refused or harmless', () => {
    const bytes = writeSafetensors(
      [
        ['w', { dtype: 'F32', shape: [2, 1], data: f32(1, 2) }],
        ['e', { dtype: 'I8', shape: [0], data: new Int8Array() }],
      ],
      { a: 'b' },
    );
    const { dataStart } = parseSafetensorsHeader(bytes, bytes.length);
    let refused = 0;
    for (let at = 0; at < dataStart; at++) {
      const kept = bytes[at];
      for (let value = 0; value < 256; value++) {
        bytes[at] = value;
        if (readOrRefuse(bytes) instanceof SafetensorsError) refused++;
      }
      bytes[at] = kept;
    }
    expect(refused / (dataStart * 256)).toBeGreaterThan(0.9);
  });

  test.each(MUTATIONS.map((mutation) => [mutation.check, mutation.name, mutation] as const))(
    'check %i: %s',
    (_, __, mutation) => {
      fuzzSafetensors({ cases: runs(30), seed: 1000, mutations: [mutation] });
    },
  );

  test('each of the 16 checks has a mutation', () => {
    const checks = new Set(MUTATIONS.map(({ check }) => check));
    for (let check = 1; check <= 16; check++) expect(checks).toContain(check);
  });
});

test('50 MB are written and read', () => {
  const data = new Float32Array(12_500_000).fill(1.5);
  const bytes = writeSafetensors([['w', { dtype: 'F32', shape: [12_500_000], data }]]);
  const back = toFloat32(readSafetensors(bytes).tensors.get('w')!);
  expect(back[12_499_999]).toBe(1.5);
});
