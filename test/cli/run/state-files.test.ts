import { readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { parseRecord } from '../../../packages/cli/src/run/record.ts';
import { parseStateJson, readState, STATE_ARRAYS, STATE_JSON } from '../../../packages/cli/src/run/state-files.ts';
import type { UserError } from '../../../packages/cli/src/terminal/errors.ts';
import { stateFiles, stateOf } from '../../support/state-files.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const loop = {
  step: 3,
  bytes: 100,
  cursor: { epoch: 0, row: 5 },
  random: [1, -1, 2 ** 31 - 1, -(2 ** 31)] as [number, number, number, number],
  lossAverage: 2.5,
  skipped: 0,
};
const json = {
  phase: 'model' as const,
  threshold: 1.25,
  best: { step: 2, bitsPerByte: 3.5 },
  stale: 1,
  evaluatedAt: 2,
  loop,
};

test('a state comes back from its two files bit for bit: NaN payloads, -0, all three types', () => {
  const odd = new Float32Array(new Uint32Array([0x7fc12345, 0x80000000, 0x00000001, 0xff800000]).buffer);
  const arrays = new Map<string, Float32Array | Int32Array | Float64Array>([
    ['loop.p.w', odd],
    ['patches.train', Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ['rates', Float64Array.of(0.1, -0, Number.POSITIVE_INFINITY)],
    ['empty', new Float32Array(0)],
  ]);
  const files = stateFiles({ json, arrays });
  expect(Object.keys(files).sort()).toEqual([STATE_ARRAYS, STATE_JSON].sort());
  const read = stateOf(String(files[STATE_JSON]), files[STATE_ARRAYS] as Uint8Array);
  expect(read.json).toEqual(json);
  expect([...read.arrays.keys()].sort()).toEqual([...arrays.keys()].sort());
  for (const [name, values] of arrays) {
    const back = read.arrays.get(name)!;
    expect(back.constructor).toBe(values.constructor);
    expect(Buffer.compare(Buffer.from(back.buffer, 0, back.byteLength), Buffer.from(values.buffer))).toBe(0);
  }
});

test('the file ends with a newline and is readable by people', () => {
  expect(String(stateFiles({ json, arrays: new Map() })[STATE_JSON])).toMatch(/^\{\n {2}"phase": "model",[\s\S]*\}\n$/);
});

describe('a state that lies is refused with the place', () => {
  const changed = (change: (state: ReturnType<typeof JSON.parse>) => void): string => {
    const state = JSON.parse(JSON.stringify(json));
    change(state);
    return JSON.stringify(state);
  };
  test.each<[string, string, RegExp]>([
    ['a negative step', changed((s) => (s.loop.step = -1)), /loop\.step: .*>=0/],
    ['half a step', changed((s) => (s.loop.step = 1.5)), /loop\.step: .*int/],
    ['an epoch before the first', changed((s) => (s.loop.cursor.epoch = -2)), /cursor\.epoch: .*>=-1/],
    ['a row before the first', changed((s) => (s.loop.cursor.row = -1)), /cursor\.row: .*>=0/],
    ['a random word of 33 bits', changed((s) => (s.loop.random[0] = 2 ** 31)), /random\.0: .*<=2147483647/],
    ['a random word below', changed((s) => (s.loop.random[1] = -(2 ** 31) - 1)), /random\.1: .*>=-2147483648/],
    ['random words all zero', changed((s) => (s.loop.random = [0, 0, 0, 0])), /random: all zero/],
    ['three random words', changed((s) => s.loop.random.pop()), /random: /],
    ['an unknown key', changed((s) => (s.loop.speed = 1)), /loop: .*"speed"/],
    ['an evaluation before -1', changed((s) => (s.evaluatedAt = -2)), /evaluatedAt: .*>=-1/],
    ['no JSON', '{', /^step\/training_state\.json is not JSON: /],
  ])('%s', (_, text, says) => {
    expect(() => parseStateJson(text, 'step/training_state.json')).toThrow(says);
  });

  test('-1 is an epoch and an evaluation that have not begun; nothing but zeros in one random word is fine', () => {
    const early = changed((s) => {
      s.evaluatedAt = -1;
      s.loop.cursor.epoch = -1;
      s.loop.random = [0, 0, 0, 1];
    });
    expect(parseStateJson(early, 'x').evaluatedAt).toBe(-1);
  });

  test('arrays of another type are named', () => {
    const bytes = writeSafetensors([['loop.p.w', { dtype: 'BF16', shape: [1], data: new Uint8Array(2) }]]);
    expect(() => stateOf(JSON.stringify(json), bytes)).toThrow(
      '/training_state.safetensors: loop.p.w has dtype BF16; a training state has F32, I32 and F64',
    );
    expect(() => stateOf(JSON.stringify(json), bytes.subarray(0, 20))).toThrow(/safetensors: the file is truncated/);
  });
});

test('a state of more than 2 GiB is read one array after the other, and its file is closed', () => {
  const folder = temporaryFolder({ [STATE_JSON]: JSON.stringify(json) });
  const file = join(folder, STATE_ARRAYS);
  const size = 3e9;
  // The second array takes no memory, because a state has none of its type.
  const header = JSON.stringify({
    a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    b: { dtype: 'U8', shape: [size - 4], data_offsets: [4, size] },
  }).padEnd(256);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([start, Buffer.from(header)]));
  truncateSync(file, start.length + header.length + size);
  expect(() => readState(folder)).toThrow(`${file}: b has dtype U8; a training state has F32, I32 and F64`);
  if (process.platform === 'linux') {
    const open = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(join('/proc/self/fd', fd));
      } catch {
        return '';
      }
    });
    expect(open).not.toContain(file);
  }
});

describe('what does not fit', () => {
  const refusal = (read: () => unknown): UserError => {
    try {
      read();
    } catch (error) {
      return error as UserError;
    }
    throw new Error('it was taken');
  };
  const state = (text: string) => refusal(() => parseStateJson(text, 'x.json'));
  test('is told with three places and the number of the others, on one line', () => {
    const { message, exitCode } = state('{}');
    expect(message).toMatch(/^x\.json cannot be used: phase: .*; threshold: .*; best: .*; and 3 more$/);
    expect(exitCode).toBe(1);
    const few = state(JSON.stringify({ ...json, phase: undefined, stale: undefined, evaluatedAt: undefined }));
    expect(few.message).toMatch(/phase: .*; stale: .*; evaluatedAt: /);
    expect(few.message).not.toContain('more');
    expect(refusal(() => parseRecord('{}', 'config.json')).exitCode).toBe(2);
  });
  test('may be made to mislead the checks themselves', () => {
    const hostile = JSON.stringify({ version: { length: { valueOf: 1, toString: 1 } } });
    expect(refusal(() => parseRecord(hostile, 'config.json'))).toMatchObject({
      name: 'UserError',
      message: 'config.json cannot be used: an object in it has a "length" that is no number',
      exitCode: 2,
    });
  });
  test('stands alone where it has no place, and nothing hostile makes a message long', () => {
    expect(state('null').message).toMatch(/^x\.json cannot be used: Invalid input: expected object/);
    const long = state(JSON.stringify({ ...json, ['k'.repeat(5000)]: 1 }));
    expect(long.message).toMatch(/k{80}/);
    expect(long.message.length).toBeLessThan(300);
  });
});
