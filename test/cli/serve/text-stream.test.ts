/** @file Bytes as text that may be sent at any time, stop texts, and log-probabilities of bytes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteLogprob, tokenName } from '../../../packages/cli/src/serve/logprobs.ts';
import { TextStream } from '../../../packages/cli/src/serve/text-stream.ts';
import { runs } from '../../support/runs.ts';

/** Few different bytes, so that stop texts and characters of several bytes are frequent. */
const byte = fc.constantFrom(0x61, 0x62, 0xe2, 0x82, 0xac, 0xc3, 0xa9, 0xff, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbb, 0xbf);
const some = (min: number, max: number) => fc.array(byte, { minLength: min, maxLength: max });

/** The text before the first stop text to be complete; of two that end at one byte, before the longer one or the first. */
function cut(bytes: number[], stops: number[][]): { bytes: number[]; stopped: boolean; read: number } {
  for (let end = 1; end <= bytes.length; end++) {
    for (const stop of stops) {
      if (end >= stop.length && stop.every((b, i) => bytes[end - stop.length + i] === b)) {
        return { bytes: bytes.slice(0, end - stop.length), stopped: true, read: end };
      }
    }
  }
  return { bytes, stopped: false, read: bytes.length };
}

const textOf = (bytes: number[]) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));

/** The characters before the one that each byte belongs to. A character begins where the bytes can be cut without changing the text. */
function placesOf(bytes: number[]): number[] {
  let before = 0;
  return bytes.map((_, at) => {
    const [head, tail] = [textOf(bytes.slice(0, at)), textOf(bytes.slice(at))];
    if (head + tail === textOf(bytes)) before = [...head].length;
    return before;
  });
}

describe('TextStream', () => {
  test('all pieces are the text before the first stop text, whenever they are taken', () => {
    fc.assert(
      fc.property(some(0, 30), fc.array(some(1, 4), { maxLength: 3 }), fc.nat({ max: 4 }), (bytes, stops, every) => {
        const wanted = cut(bytes, stops);
        const stream = new TextStream(
          stops.map((stop) => Uint8Array.from(stop)),
          true,
        );
        const pieces: string[] = [];
        const tokens: string[] = [];
        const offsets: number[] = [];
        const take = () => {
          const piece = stream.take();
          pieces.push(piece?.text ?? '');
          for (const token of piece?.logprobs?.tokens ?? []) tokens.push(token);
          for (const offset of piece?.logprobs?.text_offset ?? []) offsets.push(offset);
        };
        let stopped = false;
        for (let i = 0; i < wanted.read; i++) {
          stopped = stream.push({ byte: bytes[i], logprob: -1, top: {} });
          if (i % (every + 1) === 0) take();
        }
        expect(stopped).toBe(wanted.stopped);
        if (!stopped) stream.end();
        take();
        expect(pieces.join('')).toBe(textOf(wanted.bytes));
        // No piece ends or begins within a character of two UTF-16 units.
        for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
        expect(tokens).toEqual(wanted.bytes.map((b) => tokenName(b + 4)));
        expect(offsets).toEqual(placesOf(wanted.bytes));
        expect(stream.bytes).toBe(wanted.bytes.length);
      }),
      { numRuns: runs(300) },
    );
  });

  test('a byte belongs to the place of its character', () => {
    const stream = new TextStream([], true);
    for (const b of Buffer.from('a€😀b')) stream.push({ byte: b, logprob: -1, top: {} });
    stream.end();
    expect(stream.take()).toMatchObject({
      text: 'a€😀b',
      logprobs: {
        tokens: [
          'a',
          'bytes:\\xe2',
          'bytes:\\x82',
          'bytes:\\xac',
          ...['f0', '9f', '98', '80'].map((x) => `bytes:\\x${x}`),
          'b',
        ],
        text_offset: [0, 1, 1, 1, 2, 2, 2, 2, 3],
      },
    });
    expect(stream.take()).toBeNull();
  });

  test.each([
    [
      [0x61, 0xe2, 0x66, 0x67],
      [0, 1, 2, 3],
    ],
    [
      [0x61, 0xe2, 0xe2, 0x82, 0xac, 0x62],
      [0, 1, 2, 2, 2, 3],
    ],
    [
      [0xe2, 0x82, 0xff, 0x61, 0xf0, 0x9f, 0x98],
      [0, 0, 1, 2, 3, 3, 3],
    ],
  ])('a byte behind a broken character has its own place: %j', (bytes, places) => {
    const stream = new TextStream([], true);
    for (const b of bytes) stream.push({ byte: b, logprob: -1, top: {} });
    stream.end();
    expect(stream.take()!.logprobs!.text_offset).toEqual(places);
  });
});

test('log-probabilities are those of bytes and the end, likeliest first', () => {
  const logits = new Float32Array(260).fill(-100);
  logits[0] = 50; // an id that is never drawn
  logits[2] = Math.log(1); // the end
  logits[4 + 65] = Math.log(2);
  logits[4 + 0xe2] = Math.log(5);
  const { byte: b, logprob, top } = byteLogprob(logits, 65, 2);
  expect(b).toBe(65);
  expect(logprob).toBeCloseTo(Math.log(2 / 8), 6);
  expect(Object.keys(top)).toEqual(['bytes:\\xe2', 'A']);
  expect(top['bytes:\\xe2']).toBeCloseTo(Math.log(5 / 8), 6);
  expect(byteLogprob(logits, 65, 3).top).toHaveProperty('<|endoftext|>');
  expect(byteLogprob(logits, 65, 0).top).toEqual({});
});
