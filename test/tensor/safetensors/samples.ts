/** @file Random valid safetensors files, written by code that knows nothing of the library's writer. */

import type { Random } from '../../../packages/tensor/src/numerics/random.ts';
import { elementType, SAFETENSORS_DTYPES } from '../../../packages/tensor/src/safetensors/format.ts';
import type { SafetensorsFile, SafetensorsTensor } from '../../../packages/tensor/src/safetensors/write-read.ts';

/** A file as parts that can be broken one by one; every value of `fields` is raw JSON text. */
export type Draft = {
  entries: { key: string; fields: [string, string][] }[];
  data: Uint8Array;
  /** Text after the last brace. */
  padding: string;
};

/** A random valid file: its parts, its bytes, and what a reader must find in it. */
export type Sample = { draft: Draft; bytes: Uint8Array; expected: SafetensorsFile };

const NAMES = [
  '__proto__',
  'constructor',
  'w',
  'a.b.weight',
  '',
  'é',
  '日本',
  '"',
  // Not the backslash alone: JSON.parse of Node 24 and 26, which the result is compared with, takes it for the quote above.
  'a\\',
  '\u0000',
  '🙂',
  'toString',
  '\u2028',
];

/** Offsets, entry order, white space and padding are random: this writer knows nothing of the library's writer. */
export function randomSample(random: Random): Sample {
  const names = random.shuffle([...NAMES]).slice(0, 1 + random.integer(5));
  const tensors = names.map((name, i): [string, SafetensorsTensor] => {
    const dtype = SAFETENSORS_DTYPES[random.integer(SAFETENSORS_DTYPES.length)];
    const { bits } = elementType(dtype)!;
    const shape = Array.from({ length: random.integer(4) }, () => random.integer(4));
    if (i === 0)
      shape.splice(0, shape.length, 2, 4); // one tensor has data for sure
    else if (bits < 8) shape.push(4);
    const size = (shape.reduce((a, b) => a * b, 1) * bits) / 8;
    return [name, { dtype, shape, data: Uint8Array.from({ length: size }, () => random.integer(256)) }];
  });
  const metadata = new Map(random.integer(2) ? [['format', 'pt']] : []);
  if (random.integer(2)) metadata.set(NAMES[random.integer(NAMES.length)], '\u00e9"\\');

  const data = new Uint8Array(tensors.reduce((sum, [, tensor]) => sum + tensor.data.length, 0));
  let at = 0;
  const entries: Draft['entries'] = [];
  for (const [name, tensor] of tensors) {
    data.set(tensor.data, at);
    const end = at + tensor.data.length;
    const fields: [string, string][] = [
      ['dtype', JSON.stringify(tensor.dtype)],
      ['shape', JSON.stringify(tensor.shape)],
      ['data_offsets', `[ ${at},\t${end} ]`],
    ];
    entries.push({ key: JSON.stringify(name), fields: random.shuffle(fields) });
    at = end;
  }
  random.shuffle(entries);
  if (metadata.size > 0) {
    const fields = [...metadata].map(([key, value]): [string, string] => [JSON.stringify(key), JSON.stringify(value)]);
    entries.splice(random.integer(entries.length + 1), 0, {
      key: '"__metadata__"',
      fields: fields.map(([k, v]) => [k.slice(1, -1), v]),
    });
  }
  const draft = { entries, data, padding: ' '.repeat(random.integer(9)) };
  return { draft, bytes: render(draft), expected: { tensors: new Map(tensors), metadata } };
}

/** Header text of a draft. */
export function headerText({ entries, padding }: Draft): string {
  const members = entries.map(({ key, fields }) => `${key} : {${fields.map(([k, v]) => `"${k}":${v}`).join(', ')}}`);
  return `{${members.join(',\n')}}${padding}`;
}

/** Bytes of a file with this header and data; `length` lies about the header's length. */
export function fileOf(header: string | Uint8Array, data: Uint8Array = new Uint8Array(), length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

export const render = (draft: Draft): Uint8Array => fileOf(headerText(draft), draft.data);
