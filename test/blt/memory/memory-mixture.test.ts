import { BYTE_OFFSET, EOS, learnMemory, MemoryMixture, memoryToSafetensors, VOCAB_SIZE } from '@blt-ts/blt';
import { Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TextMemory } from '../../../packages/blt/src/memory/text-memory.ts';
import { property } from '../../support/property.ts';

const WORDS = 'It was the best of times, it was the worst of times; wir hatten alles vor uns. ';
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const BITS = 1 / Math.LN2;

/** Logits of a network, in tenths: from -40 to 40. */
const logitRows = fc
  .array(fc.integer({ min: -400, max: 400 }), { minLength: VOCAB_SIZE, maxLength: VOCAB_SIZE })
  .map((tenths) => Float32Array.from(tenths, (t) => t / 10));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const FLAT = new Float32Array(VOCAB_SIZE);

/** Bits per byte of a text, mixed with a network that knows nothing. */
function bitsPerByte(mixture: MemoryMixture, read: Uint8Array): number {
  let nats = 0;
  for (const byte of read) nats += mixture.score(FLAT, VOCAB_SIZE, byte + BYTE_OFFSET);
  return (nats * BITS) / read.length;
}

describe('a distribution', () => {
  const cases = fc.record({ before: bytes(60), logits: logitRows });

  property('sums to 1, and no byte is impossible', cases, 30, ({ before, logits }) => {
    const mixture = new MemoryMixture(learnMemory([text(WORDS), before]));
    const all = mixture.logProbabilities(logits);
    let sum = 0;
    for (const logP of all) sum += Math.exp(logP);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-5);
    // Specials are the network's own; of what it leaves the bytes, each gets something.
    const left = Math.log(all.subarray(BYTE_OFFSET).reduce((mass, logP) => mass + Math.exp(logP), 0));
    if (left > -50) for (const logP of all.subarray(BYTE_OFFSET)) expect(logP - left).toBeGreaterThan(-8 * 16);
  });

  property('is what a byte is scored with', cases, 30, ({ before, logits }) => {
    for (const id of [EOS, BYTE_OFFSET + 'h'.charCodeAt(0), BYTE_OFFSET + 255]) {
      const mixture = new MemoryMixture(learnMemory([text(WORDS), before]));
      const all = mixture.logProbabilities(logits);
      expect(Math.fround(-mixture.score(logits, VOCAB_SIZE, id))).toBe(all[id]);
    }
  });

  property('is not changed by asking for it', cases, 20, ({ before, logits }) => {
    const [asked, other] = [0, 1].map(() => new MemoryMixture(learnMemory([text(WORDS)])));
    for (const byte of before) {
      asked.logProbabilities(logits);
      const id = byte + BYTE_OFFSET;
      expect(asked.score(logits, VOCAB_SIZE, id)).toBe(other.score(logits, VOCAB_SIZE, id));
    }
  });
});

describe('readers', () => {
  const turns = fc.array(fc.record({ who: fc.nat(2), byte: fc.integer({ min: 97, max: 100 }) }), { maxLength: 60 });

  property('of a fork leave the memory as it is', turns, 20, (steps) => {
    const memory = learnMemory([text(WORDS)]);
    const before = memoryToSafetensors(memory);
    const mixture = new MemoryMixture(memory.fork(0));
    const readers = [0, 1, 2].map(() => mixture.reader(10));
    for (const { who, byte } of steps) readers[who].score(FLAT, VOCAB_SIZE, byte + BYTE_OFFSET);
    expect(Buffer.compare(memoryToSafetensors(memory), before)).toBe(0);
    const other = new MemoryMixture(learnMemory([text(WORDS)]));
    expect(bitsPerByte(new MemoryMixture(memory), text('it was'))).toBe(bitsPerByte(other, text('it was')));
  });

  property('that share a memory predict the same in the same turns', turns, 20, (steps) => {
    const costs = [0, 1].map(() => {
      const mixture = new MemoryMixture(learnMemory([text(WORDS)]).fork(0));
      const readers = [0, 1, 2].map(() => mixture.reader(0));
      return steps.map(({ who, byte }) => readers[who].score(FLAT, VOCAB_SIZE, byte + BYTE_OFFSET));
    });
    expect(costs[0]).toEqual(costs[1]);
  });

  property('have their own text behind the one before', fc.tuple(bytes(200), bytes(200)), 50, ([first, second]) => {
    const memory = new TextMemory(first.length);
    for (const byte of first) memory.read(byte);
    const reader = memory.reader(1);
    // What the memory reads now is no part of the reader's text.
    memory.read(0);
    for (const byte of second) reader.read(byte);
    const whole = Uint8Array.from([...first, ...second]);
    expect(reader.history.bytes()).toEqual(whole);
    expect(Array.from(whole, (_, i) => reader.history.at(i))).toEqual([...whole]);
    expect(reader.history.at(-1)).toBe(0);
  });

  test('learn from each other, and find long matches in the text before', () => {
    const name = text('Quixotic zephyrs jumped.');
    const alone = bitsPerByte(new MemoryMixture(learnMemory([text(WORDS)]).reader(0)), name);
    const memory = learnMemory([text(WORDS)]);
    const [first, second] = [0, 1].map(() => new MemoryMixture(memory).reader(0));
    bitsPerByte(first, name);
    expect(bitsPerByte(second, name)).toBeLessThan(alone / 2);
    const followed = learnMemory([text(WORDS), name, text(WORDS)]).reader(0);
    for (const byte of name.subarray(0, 10)) followed.read(byte);
    expect(followed.match.predicted).toBe(name[10]);
  });
});

describe('what it costs', () => {
  test('random bytes: at most 0.05 bits more than 8 a byte, beside a network that knows nothing', () => {
    const random = new Random(1);
    const noise = Uint8Array.from({ length: 20_000 }, () => random.uint32() & 255);
    const cost = bitsPerByte(new MemoryMixture(learnMemory([noise.subarray(0, 10_000)])), noise.subarray(10_000));
    expect(cost).toBeGreaterThan(7.98);
    expect(cost).toBeLessThan(8.05);
  });

  test('a text that repeats itself: towards nothing', () => {
    const mixture = new MemoryMixture(learnMemory([]));
    const once = text(WORDS);
    const costs = Array.from({ length: 40 }, () => bitsPerByte(mixture, once));
    expect(costs[0]).toBeGreaterThan(4);
    expect(costs[1]).toBeLessThan(costs[0] / 2);
    expect(costs.at(-1)).toBeLessThan(0.05);
  });

  test('a network that knows the text is believed', () => {
    const mixture = new MemoryMixture(learnMemory([]));
    const random = new Random(2);
    let nats = 0;
    for (let i = 0; i < 2000; i++) {
      const id = BYTE_OFFSET + (random.uint32() & 255);
      const logits = new Float32Array(VOCAB_SIZE);
      logits[id] = 14;
      const cost = mixture.score(logits, VOCAB_SIZE, id);
      if (i >= 1000) nats += cost;
    }
    expect((nats * BITS) / 1000).toBeLessThan(0.1);
  });
});

describe('a memory of a text', () => {
  property('depends on the bytes alone, not on the documents they came in', fc.array(bytes(40)), 30, (documents) => {
    const whole = Uint8Array.from(documents.flatMap((d) => [...d]));
    const apart = bitsPerByte(new MemoryMixture(learnMemory(documents)), text(WORDS));
    expect(apart).toBe(bitsPerByte(new MemoryMixture(learnMemory([whole])), text(WORDS)));
  });

  property('counts the same whether it learns or only reads', bytes(80), 30, (read) => {
    const [reading, learning] = [new TextMemory(100), new TextMemory(100)];
    for (const byte of read) {
      reading.read(byte);
      learning.study(byte);
    }
    expect(reading.history.bytes()).toEqual(learning.history.bytes());
    expect(reading.match.length).toBe(learning.match.length);
    const [first, second] = [reading, learning].map((memory) => {
      for (let decision = 0; decision < 3; decision++) memory.predict(decision, 1 << decision);
      return [0, 1, 2].map((decision) => memory.longest(decision));
    });
    expect(first).toEqual(second);
  });

  test('takes the table that its text needs: 1 MiB to 128 MiB', () => {
    expect(new TextMemory(0).memoryBytes).toBe(2 ** 20);
    expect(new TextMemory(2 ** 17).memoryBytes).toBe(2 ** 24);
    expect(new TextMemory(2 ** 22).memoryBytes).toBe(2 ** 27);
    expect(new TextMemory(2 ** 30).memoryBytes).toBe(2 ** 27);
  });
});
