/** @file Five ways to spoil a text, as in Pagnoni et al. 2024, section 6.1, and the choice among four continuations of a spoilt text. */
import { Random } from '@blt-ts/tensor';
import { chunkEnds, type StudyDocument } from './chunks.ts';
import type { Item } from './scoring.ts';

/** From a character to what stands in its place. */
type Noise = (character: string, random: Random) => string;

/** The noises by name. `clean` changes nothing: it is the text that the others are compared with. */
export const NOISES: Readonly<Record<string, Noise>> = {
  clean: (character) => character,
  /** Capitals with a space between all characters. */
  AntSpeak: (character) => `${character.toUpperCase()} `,
  /** One character of ten is missing. */
  Drop: (character, random) => (random.integer(10) === 0 ? '' : character),
  /** Each letter is a capital or not by chance. */
  RandomCase: (character, random) => (random.integer(2) === 0 ? character.toUpperCase() : character.toLowerCase()),
  /** One character of five stands two to four times. */
  Repeat: (character, random) => character.repeat(random.integer(5) === 0 ? 2 + random.integer(3) : 1),
  UpperCase: (character) => character.toUpperCase(),
};

/** A text under a noise. Bytes that are no UTF-8 become U+FFFD. */
export function noised(bytes: Uint8Array, noise: Noise, random: Random): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  return new TextEncoder().encode(Array.from(text, (character) => noise(character, random)).join(''));
}

const CONTEXT_BYTES = 256;
const CONTINUATION_BYTES = 64;
/** Continuations to choose among; the first is the true one. */
export const CHOICES = 4;

/** A passage of about 256 bytes and the 64 that follow it, both cut before a space, from a place by chance. */
function passage({ bytes }: StudyDocument, random: Random): Item {
  const room = Math.max(1, bytes.length - 2 * (CONTEXT_BYTES + CONTINUATION_BYTES));
  const rest = bytes.subarray(random.integer(room));
  // The first cut of a chunk leads to the beginning of a word.
  const [start] = chunkEnds(rest.subarray(0, CONTINUATION_BYTES), 16);
  const [end, after] = chunkEnds(rest.subarray(start), CONTINUATION_BYTES, CONTEXT_BYTES);
  return { prompt: rest.subarray(start, start + end), answer: rest.subarray(start + end, start + (after ?? end)) };
}

/**
 * Items of a choice among four: a passage with its continuation, then with continuations of passages from three other documents, neighbours
 * in the order of the corpus. Item i has its four at 4i to 4i + 3. The same seed gives the same passages under each noise.
 */
export function choices(documents: readonly StudyDocument[], items: number, noise: Noise): Item[] {
  const random = new Random(0).fork('choices');
  const spoiling = new Random(0).fork('noise');
  const at = (i: number): StudyDocument => documents[i % documents.length];
  return Array.from({ length: items }, (_, i) => {
    const [right, ...wrong] = Array.from({ length: CHOICES }, (_, j) => passage(at(i + j), random));
    const prompt = noised(right.prompt, noise, spoiling);
    return [right, ...wrong].map(({ answer }) => ({ prompt, answer }));
  }).flat();
}
