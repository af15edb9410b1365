/** @file A memory of a training text: counted, and then taught on the end of it what its counts mean. */
import { TextMemory } from './text-memory.ts';

/** More of the training text is not remembered: 4 MiB. Its counters fill the largest table, 128 MiB. */
export const MOST_TEXT_BYTES = 2 ** 22;
/** The memory learns what its counts mean on so much of the text's end, and on no more than half of it. */
const STUDIED_BYTES = 2 ** 18;

/** Bytes at the end of a text that are predicted as they are read. The others are only counted, which takes a fraction of the time. */
export const studiedBytes = (textBytes: number): number => Math.min(STUDIED_BYTES, textBytes >> 1);

/** Bytes between two looks at whoever drives it. */
const PIECE = 2 ** 15;

/** How much of the text has been read. */
export interface MemoryProgress {
  readonly done: number;
  readonly total: number;
}

/** The end of the documents, laid end to end: at most `most` bytes of them. */
export function rememberedText(documents: readonly Uint8Array[], most = MOST_TEXT_BYTES): Uint8Array<ArrayBuffer> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for (let i = documents.length - 1; i >= 0 && size < most; i--) {
    const document = documents[i].subarray(Math.max(0, documents[i].length - (most - size)));
    kept.unshift(document);
    size += document.length;
  }
  const text = new Uint8Array(size);
  let at = 0;
  for (const document of kept) {
    text.set(document, at);
    at += document.length;
  }
  return text;
}

/**
 * A memory that has read a text. The last 256 kB of a long text are predicted as they are read, so that it learns what its
 * counts mean. What a byte costs stands in docs/laboratory/text-memory.md.
 * @param documents training text; the last 4 MiB are remembered
 */
export function learnMemory(documents: readonly Uint8Array[]): TextMemory {
  const learning = learningMemory(documents);
  for (;;) {
    const next = learning.next();
    if (next.done) return next.value;
  }
}

/** `learnMemory`, piece by piece: whoever drives it may stop between two of them. */
export function* learningMemory(
  documents: readonly Uint8Array[],
  most = MOST_TEXT_BYTES,
): Generator<MemoryProgress, TextMemory> {
  const text = rememberedText(documents, most);
  const memory = new TextMemory(text.length);
  const studied = text.length - studiedBytes(text.length);
  for (let i = 0; i < text.length; i++) {
    if (i < studied) memory.read(text[i]);
    else memory.study(text[i]);
    if (i % PIECE === PIECE - 1) yield { done: i + 1, total: text.length };
  }
  return memory;
}
