/** @file The ways to break a safetensors file, each aimed at one check of the reader. */

import type { Random } from '../../../packages/tensor/src/numerics/random.ts';
import { writeSafetensors } from '../../../packages/tensor/src/safetensors/write-read.ts';
import { type Draft, fileOf, headerText, render, type Sample } from './samples.ts';

/** One way to break a file. `verdict`: must the reader refuse it, read the expected tensors, or is either fine. */
export type Mutation = {
  /** Number of the reader's check that it aims at; 0 for blind ones. */
  check: number;
  name: string;
  verdict: 'refused' | 'read' | 'either';
  apply: (sample: Sample, random: Random) => Uint8Array;
};

const mutation = (check: number, name: string, verdict: Mutation['verdict'], apply: Mutation['apply']): Mutation => ({
  check,
  name,
  verdict,
  apply,
});

/** A mutation that edits the draft and renders it again. */
const edit = (check: number, name: string, change: (draft: Draft, random: Random) => void): Mutation =>
  mutation(check, name, 'refused', ({ draft }, random) => {
    const copy = structuredClone(draft);
    change(copy, random);
    return render(copy);
  });

const pick = <T>(random: Random, items: readonly T[]): T => items[random.integer(items.length)];

const tensorEntries = (draft: Draft) => draft.entries.filter(({ key }) => key !== '"__metadata__"');

function field(entry: Draft['entries'][number], name: string): [string, string] {
  return entry.fields.find(([key]) => key === name)!;
}

const offsets = (entry: Draft['entries'][number]): number[] => JSON.parse(field(entry, 'data_offsets')[1]);

/** The entry whose data comes last, or first, among those that have 2 bytes or more. */
function entryAt(draft: Draft, place: 'first' | 'last'): Draft['entries'][number] {
  const withData = tensorEntries(draft).filter((entry) => offsets(entry)[1] > offsets(entry)[0] + 1);
  return withData.reduce((a, b) => (offsets(a)[0] < offsets(b)[0] === (place === 'first') ? a : b));
}

/** Gives one field of one tensor another raw value. */
const setField = (check: number, name: string, key: string, values: readonly string[]): Mutation =>
  edit(check, name, (draft, random) => {
    field(pick(random, tensorEntries(draft)), key)[1] = pick(random, values);
  });

const withHeader = (sample: Sample, change: (text: string) => string): Uint8Array =>
  fileOf(change(headerText(sample.draft)), sample.draft.data);

function grown(data: Uint8Array, by: number): Uint8Array {
  const out = new Uint8Array(data.length + by);
  out.set(data);
  return out;
}

/** The message of each check. A mutation must be refused for its own reason. */
export const REASONS: Readonly<Record<number, RegExp>> = {
  1: /is empty|at least 8/,
  2: /header length \d+ is over the limit|header alone needs/,
  3: /not valid UTF-8|starts with byte/,
  4: /starts with byte|only spaces may follow/,
  5: /header, character \d+|shortest one is/,
  6: /twice|once each/,
  8: /must be a string/,
  9: /unknown dtype|dtype must be a string/,
  10: /once each|is missing/,
  11: /whole numbers|shape: expected/,
  12: /more than 2\^53-1 bits/,
  13: /needs \d+ bytes|data_offsets/,
  14: /leaves a hole|overlaps/,
  15: /truncated|after its last tensor/,
};

export const MUTATIONS: readonly Mutation[] = [
  mutation(1, 'shorter than the length field', 'refused', ({ bytes }, random) => bytes.subarray(0, random.integer(8))),
  mutation(2, 'header length over the limit', 'refused', ({ draft }, random) =>
    fileOf(headerText(draft), draft.data, pick(random, [25_000_001n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])),
  ),
  mutation(2, 'header length past the end of the file', 'refused', ({ draft, bytes }, random) =>
    fileOf(headerText(draft), draft.data, BigInt(bytes.length - 7 + random.integer(1000))),
  ),
  mutation(3, 'invalid UTF-8 in the header', 'refused', ({ draft }, random) => {
    const text = new TextEncoder().encode(
      headerText(draft).replace('{', '{"#":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'),
    );
    text[2] = 0x80 + random.integer(128);
    return fileOf(text, draft.data);
  }),
  mutation(3, 'byte order mark', 'refused', (sample) => withHeader(sample, (text) => `\ufeff${text}`)),
  mutation(4, 'header starts with white space', 'refused', (sample, random) =>
    withHeader(sample, (text) => pick(random, [' ', '\n', '\t', '[']) + text),
  ),
  mutation(4, 'header padded with something else than spaces', 'refused', (sample, random) =>
    withHeader(sample, (text) => text + pick(random, ['\n', '\0', '{}', ',', '}', ' \t', ' #'])),
  ),
  mutation(5, 'header is broken JSON', 'refused', (sample, random) =>
    withHeader(sample, (text) => {
      const body = text.trimEnd();
      return pick(random, [
        body.slice(0, -1),
        `${body.slice(0, -1)},}`,
        `{,${body.slice(1)}`,
        `{/**/${body.slice(1)}`,
        '{',
        `{"a"${body}}`,
        `{1:2,${body.slice(1)}`,
      ]);
    }),
  ),
  edit(6, 'a tensor twice', (draft, random) => {
    draft.entries.push(structuredClone(pick(random, tensorEntries(draft))));
  }),
  edit(6, 'a name twice, the second one empty', (draft, random) => {
    const { key } = pick(random, tensorEntries(draft));
    draft.entries.push({
      key,
      fields: [
        ['dtype', '"F32"'],
        ['shape', '[0]'],
        ['data_offsets', '[0,0]'],
      ],
    });
  }),
  edit(6, 'a name twice, spelled with an escape', (draft) => {
    for (const key of ['"zz"', '"z\\u007a"']) {
      draft.entries.push({
        key,
        fields: [
          ['dtype', '"F32"'],
          ['shape', '[0]'],
          ['data_offsets', '[0,0]'],
        ],
      });
    }
  }),
  edit(6, 'a field twice', (draft, random) => {
    const { fields } = pick(random, tensorEntries(draft));
    fields.push(pick(random, fields));
  }),
  edit(6, 'metadata twice, or a metadata key twice', (draft, random) => {
    draft.entries = tensorEntries(draft);
    if (random.integer(2))
      draft.entries.push({
        key: '"__metadata__"',
        fields: [
          ['a', '"1"'],
          ['a', '"1"'],
        ],
      });
    else draft.entries.push({ key: '"__metadata__"', fields: [] }, { key: '"__metadata__"', fields: [] });
  }),
  mutation(7, 'names of object members', 'read', ({ expected }, random) => {
    const [[name, tensor]] = expected.tensors;
    expected.tensors.delete(name);
    const other = pick(random, ['__proto__', 'constructor', 'hasOwnProperty', 'valueOf', name]);
    expected.tensors.set(other, tensor);
    return writeSafetensors(expected.tensors, expected.metadata);
  }),
  edit(8, 'metadata that is not text', (draft, random) => {
    draft.entries = tensorEntries(draft);
    draft.entries.push({
      key: '"__metadata__"',
      fields: [['a', pick(random, ['1', 'null', 'true', '{}', '[]', '["b"]'])]],
    });
  }),
  setField(9, 'unknown dtype', 'dtype', [
    '"F31"',
    '"f32"',
    '""',
    '"constructor"',
    '"__proto__"',
    '1',
    'null',
    '["F32"]',
    '"F32 "',
  ]),
  edit(10, 'a field too many', (draft, random) => {
    const { fields } = pick(random, tensorEntries(draft));
    fields.push([pick(random, ['extra', 'Dtype', '', '__proto__']), '1']);
  }),
  edit(10, 'a field too few', (draft, random) => {
    pick(random, tensorEntries(draft)).fields.splice(random.integer(3), 1);
  }),
  setField(11, 'sizes that are no whole numbers', 'shape', [
    '[-1]',
    '[1.0]',
    '[1e0]',
    '["1"]',
    '[null]',
    '[01]',
    '[9007199254740992]',
    '[99999999999999999999]',
    '[1,]',
    '[,]',
    '{}',
    '3',
    '[[1]]',
    '[+1]',
    '[-0]',
  ]),
  setField(12, 'sizes whose product overflows', 'shape', [
    '[134217728,134217728]',
    '[9007199254740991,2]',
    '[4294967296,4294967296]',
    '[2,2,2,9007199254740991]',
  ]),
  edit(13, 'span longer than the tensor', (draft) => {
    const entry = entryAt(draft, 'last');
    const [begin, end] = offsets(entry);
    field(entry, 'data_offsets')[1] = `[${begin},${end + 8}]`;
    draft.data = grown(draft.data, 8);
  }),
  setField(13, 'span that is no pair of numbers in order', 'data_offsets', [
    '[]',
    '[0]',
    '[0,0,0]',
    '[8,0]',
    '[-8,0]',
    '"0,8"',
    '{"0":0}',
    '[0.0,8]',
  ]),
  edit(14, 'hole before a tensor', (draft) => {
    const entry = entryAt(draft, 'last');
    const [begin, end] = offsets(entry);
    field(entry, 'data_offsets')[1] = `[${begin + 8},${end + 8}]`;
    draft.data = grown(draft.data, 8);
  }),
  edit(14, 'two names for the same data', (draft) => {
    draft.entries.push({ ...structuredClone(entryAt(draft, 'first')), key: '"alias"' });
  }),
  edit(14, 'an empty tensor inside another', (draft) => {
    const [begin] = offsets(entryAt(draft, 'first'));
    const span: [string, string] = ['data_offsets', `[${begin + 1},${begin + 1}]`];
    draft.entries.push({ key: '"empty"', fields: [['dtype', '"F32"'], ['shape', '[0]'], span] });
  }),
  edit(15, 'bytes after the last tensor', (draft, random) => {
    draft.data = grown(draft.data, 1 + random.integer(16));
  }),
  edit(15, 'bytes missing at the end', (draft, random) => {
    draft.data = draft.data.subarray(0, random.integer(draft.data.length));
  }),
  mutation(16, 'file at an odd address', 'read', ({ bytes }, random) => {
    const shift = 1 + random.integer(7);
    const moved = new Uint8Array(bytes.length + shift);
    moved.set(bytes, shift);
    return moved.subarray(shift);
  }),
  mutation(0, 'nothing', 'read', ({ bytes }) => bytes),
  mutation(0, 'one byte changed', 'either', ({ bytes }, random) => {
    const out = bytes.slice();
    out[random.integer(out.length)] = random.integer(256);
    return out;
  }),
  mutation(0, 'a few bits flipped', 'either', ({ bytes }, random) => {
    const out = bytes.slice();
    for (let i = random.integer(4); i >= 0; i--) out[random.integer(out.length)] ^= 1 << random.integer(8);
    return out;
  }),
  mutation(0, 'cut', 'refused', ({ bytes }, random) => bytes.subarray(0, random.integer(bytes.length))),
  mutation(0, 'a piece of the header copied elsewhere', 'either', (sample, random) =>
    withHeader(sample, (text) => {
      const [from, to, at] = [random.integer(text.length), random.integer(text.length), random.integer(text.length)];
      return text.slice(0, at) + text.slice(Math.min(from, to), Math.max(from, to)) + text.slice(at);
    }),
  ),
  mutation(0, 'a number replaced by another', 'either', (sample, random) =>
    withHeader(sample, (text) => {
      const numbers = [...text.matchAll(/\d+/g)];
      const { index, 0: old } = pick(random, numbers);
      const value = pick(random, [
        '0',
        '1',
        '2',
        '7',
        '8',
        '255',
        '4294967296',
        '9007199254740991',
        '18446744073709551616',
        '-1',
        '1e9',
        'NaN',
      ]);
      return text.slice(0, index) + value + text.slice(index + old.length);
    }),
  ),
];
