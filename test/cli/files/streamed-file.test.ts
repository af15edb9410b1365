import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lazyArray } from '@blt-ts/blt';
import {
  createReferenceBackend,
  createWasmBackend,
  type SafetensorsInput,
  tensor,
  writeSafetensors,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { folderProblem, writeFolder } from '../../../packages/cli/src/files/atomic-folder.ts';
import { streamedSafetensors } from '../../../packages/cli/src/files/streamed-file.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const arrays = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme-ascii' }).filter((name) => name !== '__metadata__'),
  fc.oneof(
    fc.array(fc.integer(), { maxLength: 6 }).map((v) => Int32Array.from(v)),
    fc.array(fc.integer(), { maxLength: 6 }).map((v) => Float32Array.from(v)),
    fc.array(fc.integer(), { maxLength: 6 }).map((v) => Float64Array.from(v)),
  ),
  { maxKeys: 8 },
);
const dtypeOf = (x: object) => (x instanceof Float32Array ? 'F32' : x instanceof Int32Array ? 'I32' : 'F64');

test('a streamed file has the bytes of writeSafetensors, as many as it says, and reads each array once', async () => {
  await fc.assert(
    fc.asyncProperty(arrays, async (given) => {
      const reads: string[] = [];
      const file = streamedSafetensors(
        Object.entries(given).map(([name, values]) => [
          name,
          {
            dtype: dtypeOf(values),
            length: values.length,
            read: async () => values,
            async *pieces() {
              reads.push(name);
              const middle = values.length >> 1;
              yield values.slice(0, middle);
              yield values.slice(middle);
            },
          },
        ]),
        { format: 'pt' },
      );
      const pieces: Uint8Array[] = [];
      for await (const piece of file.pieces()) pieces.push(piece);
      const whole = Buffer.concat(pieces);
      const inputs = Object.entries(given).map(([name, data]): [string, SafetensorsInput] => [
        name,
        { dtype: dtypeOf(data), shape: [data.length], data },
      ]);
      expect(whole.equals(writeSafetensors(inputs, { format: 'pt' }))).toBe(true);
      expect(file.bytes).toBe(whole.length);
      expect(reads.sort()).toEqual(Object.keys(given).sort());
    }),
    { numRuns: runs(50) },
  );
});

test('a folder written from pieces fits its manifest, and large arrays come in pieces of their own', async () => {
  const parent = temporaryFolder();
  const big = new Float32Array(700_000).map((_, i) => i);
  const entry = (values: Float32Array) => ({
    dtype: 'F32' as const,
    length: values.length,
    read: async () => values,
    async *pieces() {
      yield values;
    },
  });
  const file = streamedSafetensors([
    ['big', entry(big)],
    ['bigger', entry(big)],
    ['small', entry(big.subarray(0, 3))],
  ]);
  let count = 0;
  for await (const _ of file.pieces()) count++;
  expect(count).toBe(4);
  await writeFolder(parent, 'whole', { 'a.safetensors': file, 'b.txt': 'b' });
  expect(await folderProblem(join(parent, 'whole'), { checksums: true })).toBeUndefined();
  expect(readFileSync(join(parent, 'whole', 'a.safetensors')).length).toBe(file.bytes);
});

test('a tensor larger than a piece comes piece by piece, from inside and from outside the memory of the kernels', async () => {
  const values = new Float32Array(600_000).map((_, i) => i * 0.5);
  const whole = writeSafetensors([['t', { dtype: 'F32', shape: [600, 1000], data: values }]]);
  for (const backend of [createReferenceBackend(), createWasmBackend(), createWasmBackend({ outsideBytes: 1000 })]) {
    const t = tensor(values, [600, 1000], { backend });
    const file = streamedSafetensors([['t', { ...lazyArray(t), shape: t.shape }]]);
    const pieces: Uint8Array[] = [];
    for await (const piece of file.pieces()) pieces.push(piece);
    expect(Math.max(...pieces.map((piece) => piece.length)), backend.name).toBeLessThanOrEqual(2 ** 20);
    expect(Buffer.concat(pieces).equals(whole), backend.name).toBe(true);
    t.dispose();
  }
});
