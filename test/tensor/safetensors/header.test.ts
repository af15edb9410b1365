/** @file Broken safetensors headers are refused with a sentence. */
import { describe, expect, test } from 'vitest';
import { MAX_HEADER_BYTES, SafetensorsError } from '../../../packages/tensor/src/safetensors/format.ts';
import { parseSafetensorsHeader, safetensorsHeaderSize } from '../../../packages/tensor/src/safetensors/header.ts';
import { readSafetensors, toFloat32, writeSafetensors } from '../../../packages/tensor/src/safetensors/write-read.ts';
import { fileOf } from './samples.ts';

const data = new Uint8Array(8).map((_, i) => i + 1);
const entry = (shape: string, offsets: string, dtype = '"F32"') =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;
const VALID = `{"a":${entry('[2]', '[0,8]')}}`;
const text = (content: string) => Uint8Array.from(content, (c) => c.charCodeAt(0));

/** Each row: what is wrong, the bytes, what the message must say. The numbers are the reader's checks. */
const REFUSED: [string, Uint8Array, RegExp][] = [
  ['1: an empty file', new Uint8Array(0), /the file is empty \(0 bytes\)/],
  ['1: fewer than 8 bytes', text('\x10\0\0'), /has 3 bytes, .* at least 8/],
  ['2: a header over the limit', fileOf(VALID, data, 25_000_001n), /header length 25000001 .* 25000000/],
  ['2: a header length that no number holds', fileOf(VALID, data, 2n ** 64n - 1n), /18446744073709551615/],
  ['2: a header that the file cuts', fileOf(VALID, data, 500n), /truncated: 70 bytes are there, .* needs 508/],
  ['3: bytes that are not UTF-8', fileOf(text('{"\xc3\x28":0}')), /not valid UTF-8/],
  ['3: a byte order mark', fileOf(`\ufeff${VALID}`, data), /starts with byte 239/],
  ['4: a header that starts with a space', fileOf(` ${VALID}`, data), /starts with byte 32 instead of {/],
  ['4: padding that is not spaces', fileOf(`${VALID} \n`, data), /only spaces may follow/],
  ['4: something after the header', fileOf(`${VALID}{}`, data), /only spaces may follow/],
  ['5: no header', fileOf('', data), /header is 0 bytes long/],
  ['5: an array', fileOf('["a"]', data), /starts with byte 91/],
  ['5: an object that does not end', fileOf(VALID.slice(0, -1), data), /expected }; found the end/],
  ['5: a trailing comma', fileOf(`${VALID.slice(0, -1)},}`, data), /must be a string; found "}"/],
  ['5: a control character in a name', fileOf('{"a\nb":{}}'), /control character/],
  ['5: an unknown escape', fileOf('{"\\x41":{}}'), /not a JSON string/],
  ['5: half of a surrogate pair', fileOf('{"\\ud800":{}}'), /surrogate/],
  ['6: a name twice', fileOf(`{"a":${entry('[2]', '[0,8]')},"a":${entry('[2]', '[0,8]')}}`, data), /"a" twice/],
  [
    '6: two empty tensors of one name',
    fileOf(`{"a":${entry('[0]', '[0,0]')},"\\u0061":${entry('[0]', '[0,0]')}}`),
    /"a" twice/,
  ],
  ['6: a field twice', fileOf('{"a":{"dtype":"F32","dtype":"F32"}}'), /once each; got "dtype"/],
  ['6: metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), /"__metadata__" twice/],
  ['6: a metadata key twice', fileOf('{"__metadata__":{"x":"1","x":"1"}}'), /__metadata__ has the key "x" twice/],
  ['8: metadata that is a number', fileOf('{"__metadata__":{"epoch":3}}'), /value of "epoch" .* must be a string/],
  ['8: metadata that is an array', fileOf('{"__metadata__":["a"]}'), /__metadata__: expected {/],
  [
    '9: an unknown dtype',
    fileOf(`{"a":${entry('[2]', '[0,8]', '"F31"')}}`, data),
    /"a": unknown dtype "F31"; known are/,
  ],
  ['9: a dtype found on prototypes', fileOf(`{"a":${entry('[2]', '[0,8]', '"constructor"')}}`, data), /unknown dtype/],
  ['9: a dtype that is no text', fileOf(`{"a":${entry('[2]', '[0,8]', '5')}}`, data), /dtype must be a string/],
  ['10: an unknown field', fileOf('{"a":{"strides":[1]}}'), /keys are dtype, shape, data_offsets, .* "strides"/],
  ['10: a missing field', fileOf('{"a":{"dtype":"F32","shape":[0]}}'), /"a": data_offsets is missing/],
  ['11: a negative size', fileOf(`{"a":${entry('[-2]', '[0,8]')}}`, data), /shape must hold whole numbers .* "-2\]/],
  ['11: a fraction', fileOf(`{"a":${entry('[2.0]', '[0,8]')}}`, data), /shape must hold whole numbers/],
  ['11: an exponent', fileOf(`{"a":${entry('[2e0]', '[0,8]')}}`, data), /shape must hold whole numbers/],
  ['11: a size past 2^53', fileOf(`{"a":${entry('[9007199254740992]', '[0,8]')}}`, data), /whole numbers 0 .. 2\^53-1/],
  [
    '12: a product past 2^53',
    fileOf(`{"a":${entry('[4294967296,4194304]', '[0,0]')}}`),
    /more than 2\^53-1 bits as F32/,
  ],
  ['12: a product that wraps to 0', fileOf(`{"a":${entry('[4294967296,4294967296]', '[0,0]')}}`), /more than 2\^53-1/],
  [
    '12: more bits than 2^53',
    fileOf(`{"a":${entry('[2251799813685248]', '[0,0]', '"U8"')}}`),
    /more than 2\^53-1 bits as U8/,
  ],
  ['12: half a byte', fileOf(`{"a":${entry('[3]', '[0,1]', '"F4"')}}`, data), /3 elements of 4 bits do not fill/],
  ['13: a span of another size', fileOf(`{"a":${entry('[2]', '[0,7]')}}`, data), /F32 \[2\] needs 8 bytes, .* hold 7/],
  ['13: a span that runs backwards', fileOf(`{"a":${entry('[2]', '[8,0]')}}`, data), /begin <= end, got \[8,0\]/],
  ['13: a span of three', fileOf(`{"a":${entry('[2]', '[0,8,8]')}}`, data), /got \[0,8,8\]/],
  ['14: data that starts late', fileOf(`{"a":${entry('[1]', '[4,8]')}}`, data), /begins at byte 4 and leaves a hole/],
  [
    '14: two tensors that overlap',
    fileOf(`{"a":${entry('[1]', '[0,4]')},"b":${entry('[1]', '[2,6]')}}`, data.subarray(2)),
    /"b" begins at byte 2 and overlaps the tensor before it, which ends at 4/,
  ],
  [
    '15: bytes after the last tensor',
    fileOf(VALID, new Uint8Array(13)),
    /has 5 bytes after .* 75 bytes .* promises 70/,
  ],
  ['15: bytes missing', fileOf(VALID, new Uint8Array(3)), /truncated: 65 bytes are there, its header promises 70/],
  [
    'a Git LFS pointer',
    text('version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 4242\n'),
    /Git LFS pointer to a file of 4242 bytes, .* git lfs pull/,
  ],
  ['a gzip file', text('\x1f\x8b\x08\0\0\0\0\0\x03abcdef'), /gzip/],
  ['a zip file', text('PK\x03\x04\x14\0\0\0\x08\0abcdef'), /zip file \(a PyTorch/],
  ['a pickle', text('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80'), /pickle/],
  ['a GGUF file', text('GGUF\x03\0\0\0\x01\0\0\0'), /GGUF/],
  ['an HTML page', text('<!DOCTYPE html><html></html>'), /HTML page/],
];

describe('refuses', () => {
  test.each(REFUSED)('%s', (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(SafetensorsError);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });
});

describe('accepts', () => {
  test('what the refused files are variations of', () => {
    expect([...readSafetensors(fileOf(VALID, data)).tensors.keys()]).toEqual(['a']);
  });

  test('7: names that objects have as members', () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    const members = names.map((name, i) => `"${name}":${entry('[1]', `[${4 * i},${4 * i + 4}]`)}`);
    const file = readSafetensors(fileOf(`{"__metadata__":{"__proto__":"x"},${members}}`, new Uint8Array(16)));
    expect([...file.tensors.keys()]).toEqual(names);
    expect([...file.metadata]).toEqual([['__proto__', 'x']]);
  });

  test('16: data at any address, aligned or not', () => {
    const file = fileOf(VALID, new Uint8Array(new Float32Array([1.5, -2.25]).buffer));
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(file.length + shift);
      moved.set(file, shift);
      const { tensors } = readSafetensors(moved.subarray(shift));
      expect([...toFloat32(tensors.get('a')!)]).toEqual([1.5, -2.25]);
    }
  });

  test('a file without tensors, scalars, empty tensors at one offset, white space, entries out of order', () => {
    expect(readSafetensors(fileOf('{}')).tensors.size).toBe(0);
    const header = `{ "z" :${entry('[]', '[ 4 , 8 ]')},\r\n\t"e1":${entry('[0]', '[4,4]')},"e2":${entry('[3,0]', '[4,4]')},"a":${entry('[1]', '[0,4]')} }   `;
    expect([...readSafetensors(fileOf(header, data)).tensors].map(([name, t]) => [name, t.data.length])).toEqual([
      ['z', 4],
      ['e1', 0],
      ['e2', 0],
      ['a', 4],
    ]);
  });

  test('a file whose header length has the first bytes of a pickle', () => {
    const header = VALID.padEnd(0x0280);
    expect(readSafetensors(fileOf(header, data)).tensors.size).toBe(1);
    expect(() => readSafetensors(fileOf(header, data).subarray(0, 300))).toThrow(/truncated: 300 .* needs 648/);
  });

  test('bytes in shared memory and in a Node Buffer', () => {
    const file = fileOf(VALID, data);
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    for (const bytes of [shared, Buffer.from(file)]) {
      const tensor = readSafetensors(bytes).tensors.get('a')!;
      expect([...tensor.data]).toEqual([...data]);
      expect(toFloat32(tensor)).toHaveLength(2);
    }
  });
});

describe('the head of a file is enough', () => {
  const file = writeSafetensors([['w', { dtype: 'F32', shape: [1000], data: new Float32Array(1000) }]]);

  test('8 bytes tell how many are needed, and these give every span', () => {
    const size = safetensorsHeaderSize(file.subarray(0, 8), file.length);
    const header = parseSafetensorsHeader(file.subarray(0, size), file.length);
    expect(header.dataStart).toBe(size);
    expect(header.tensors.get('w')).toEqual({ dtype: 'F32', shape: [1000], begin: 0, end: 4000 });
  });

  test('the longest header and the shortest file are where the limits say', () => {
    const stating = (length: number) => {
      const head = new Uint8Array(8);
      new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
      return head;
    };
    expect(safetensorsHeaderSize(stating(MAX_HEADER_BYTES), 8 + MAX_HEADER_BYTES)).toBe(8 + MAX_HEADER_BYTES);
    expect(() => safetensorsHeaderSize(stating(MAX_HEADER_BYTES + 1), 2 ** 40)).toThrow(/over the limit/);
    expect(() => safetensorsHeaderSize(stating(0), 8)).toThrow(/the header is 0 bytes long/);
    expect(() => safetensorsHeaderSize(stating(0).subarray(1), 7)).toThrow(
      /7 bytes, a safetensors file has at least 8/,
    );
    expect(safetensorsHeaderSize(stating(2), 10)).toBe(10);
    expect(() => safetensorsHeaderSize(stating(1), 10)).toThrow(/1 bytes long, the shortest one is \{\}/);
  });

  test('a file of a terabyte is checked from its header alone', () => {
    const head = fileOf(`{"w":${entry('[500000,500000]', '[0,1000000000000]')}}`);
    expect(parseSafetensorsHeader(head, head.length + 1e12).tensors.get('w')!.end).toBe(1e12);
    expect(() => parseSafetensorsHeader(head, head.length + 1e12 - 1)).toThrow(/truncated/);
  });

  test('too short a head and an impossible file size are refused', () => {
    expect(() => parseSafetensorsHeader(file.subarray(0, 20), file.length)).toThrow(/the first \d+ bytes .* got 20/);
    expect(() => safetensorsHeaderSize(file.subarray(0, 5), file.length)).toThrow(/first 8 bytes .* got 5/);
    const size = safetensorsHeaderSize(file, file.length);
    expect(() => safetensorsHeaderSize(file.subarray(0, 8), size - 1)).toThrow(/truncated/);
    for (const size of [10, -1, 1.5, Number.NaN]) {
      expect(() => parseSafetensorsHeader(file, size)).toThrow(SafetensorsError);
    }
  });
});

describe('hostile headers cost time in proportion to their size', () => {
  const size = 4_000_000;
  const HOSTILE: [string, string][] = [
    ['brackets', `{"a":${'['.repeat(size)}`],
    ['braces', '{"a":'.repeat(size / 5)],
    ['one name', `{"${'a'.repeat(size)}`],
    ['backslashes', `{"${'\\\\'.repeat(size / 2)}":1}`],
    ['escapes', `{"${'\\u00e9'.repeat(size / 6)}":{}}`],
    ['digits', `{"a":{"shape":[${'9'.repeat(size)}]}}`],
    ['sizes', `{"a":{"shape":[${'1,'.repeat(size / 2)}1]}}`],
    ['spaces', `{${' '.repeat(size)}`],
    ['quotes in names', `{${'"\\"":{},'.repeat(size / 8)}}`],
    [
      'long names in messages',
      `{"${'\u009b\u202e\\u0007'.repeat(1000)}":{"dtype":"${'x'.repeat(1000)}","shape":[],"data_offsets":[0,0]}}`,
    ],
  ];
  test.each(HOSTILE)('%s', (_, header) => {
    let message = '';
    try {
      readSafetensors(fileOf(header));
    } catch (error) {
      expect(error).toBeInstanceOf(SafetensorsError);
      message = (error as Error).message;
    }
    expect(message.length).toBeGreaterThan(10);
    expect(message.length).toBeLessThan(1000);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal must not receive them
    expect(message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  });

  test('as many tensors as the largest header holds', () => {
    const tensors = Array.from({ length: 250_000 }, (_, i) => `"layer.${i}":${entry('[0]', '[0,0]', '"U8"')}`);
    const header = `{${tensors}}`;
    expect(header.length).toBeLessThan(MAX_HEADER_BYTES);
    expect(readSafetensors(fileOf(header)).tensors.size).toBe(250_000);
  });
});
