/**
 * @file Training of byte-pair encoding: the most frequent pair of neighbouring tokens becomes a token, again and again.
 * @see Gage 1994, A new algorithm for data compression; Sennrich et al. 2016, Neural machine translation of rare words with subword units
 */
import { bytesOf, preSplit } from './pre-split.ts';

/** Two tokens that become one. Tokens 0..255 are the bytes; merge i makes token 256 + i. */
export type Merge = readonly [left: number, right: number];

/** Most tokens that two of them fit into one number. */
const LIMIT = 2 ** 16;

/**
 * The order of the bytes among equally frequent pairs: printable ones first. It is that of Hugging Face `tokenizers`, so that merges can be
 * compared with those it finds.
 */
const BYTE_ORDER = byteOrder();

function byteOrder(): Int32Array {
  const printable = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  const bytes = [...Array(256).keys()];
  const order = new Int32Array(256);
  [...bytes.filter(printable), ...bytes.filter((b) => !printable(b))].forEach((byte, place) => {
    order[byte] = place;
  });
  return order;
}

const orderOf = (token: number): number => (token < 256 ? BYTE_ORDER[token] : token);
const keyOf = (left: number, right: number): number => left * LIMIT + right;

/** A pair as it stood in the queue. */
interface Entry {
  readonly key: number;
  readonly count: number;
  /** The earlier of equally frequent pairs has the smaller one. */
  readonly order: number;
}

const before = (a: Entry, b: Entry): boolean => (a.count === b.count ? a.order < b.order : a.count > b.count);

/** A binary heap: the most frequent pair first. */
class Queue {
  private readonly heap: Entry[] = [];

  push(key: number, count: number): void {
    const order = keyOf(orderOf(Math.floor(key / LIMIT)), orderOf(key % LIMIT));
    const { heap } = this;
    const entry = { key, count, order };
    let at = heap.push(entry) - 1;
    while (at > 0 && before(entry, heap[(at - 1) >> 1])) {
      heap[at] = heap[(at - 1) >> 1];
      at = (at - 1) >> 1;
    }
    heap[at] = entry;
  }

  pop(): Entry | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

/** Tokens with each occurrence of a pair, from left to right, replaced by `made`. */
function merged(tokens: readonly number[], [left, right]: Merge, made: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === left && tokens[i + 1] === right) {
      out.push(made);
      i++;
    } else out.push(tokens[i]);
  }
  return out;
}

/** The different words of a corpus as tokens, how often each occurs, and where each pair of tokens is. */
class WordTable {
  private readonly words: number[][] = [];
  private readonly frequency: number[] = [];
  private readonly counts = new Map<number, number>();
  private readonly places = new Map<number, Set<number>>();

  constructor(documents: readonly Uint8Array[]) {
    const found = new Map<string, number>();
    for (const bytes of documents) for (const word of preSplit(bytes)) found.set(word, (found.get(word) ?? 0) + 1);
    for (const [word, times] of found) {
      const index = this.words.push([...bytesOf(word)]) - 1;
      this.frequency.push(times);
      this.count(index, 1);
    }
  }

  get pairs(): Iterable<[key: number, count: number]> {
    return this.counts;
  }

  countOf(key: number): number {
    return this.counts.get(key) ?? 0;
  }

  /** Adds (+1) or takes away (-1) the pairs of a word. */
  private count(index: number, sign: 1 | -1): void {
    const word = this.words[index];
    for (let i = 0; i + 1 < word.length; i++) {
      const key = keyOf(word[i], word[i + 1]);
      this.counts.set(key, (this.counts.get(key) ?? 0) + sign * this.frequency[index]);
      if (sign < 0) continue;
      const there = this.places.get(key);
      if (there) there.add(index);
      else this.places.set(key, new Set([index]));
    }
  }

  /** Replaces a pair by the token `made` everywhere. @returns the pairs that this made */
  merge(key: number, made: number): Set<number> {
    const pair: Merge = [Math.floor(key / LIMIT), key % LIMIT];
    const fresh = new Set<number>();
    for (const index of this.places.get(key) ?? []) {
      this.count(index, -1);
      const word = merged(this.words[index], pair, made);
      this.words[index] = word;
      this.count(index, 1);
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === made || word[i + 1] === made) fresh.add(keyOf(word[i], word[i + 1]));
      }
    }
    this.places.delete(key);
    this.counts.delete(key);
    return fresh;
  }
}

/**
 * The first `merges` merges of byte-pair encoding over documents; fewer if every word has become one token. Pairs do not cross words
 * (`preSplit`), so they do not cross documents. Of equally frequent pairs the one of earlier tokens comes first.
 * @throws RangeError if the tokens would not fit 16 bits
 */
export function trainBpe(documents: readonly Uint8Array[], merges: number): Merge[] {
  if (!Number.isInteger(merges) || merges < 0 || merges > LIMIT - 256) {
    throw new RangeError(`trainBpe: merges must be a whole number from 0 to ${LIMIT - 256}, got ${merges}`);
  }
  const table = new WordTable(documents);
  const queue = new Queue();
  for (const [key, count] of table.pairs) queue.push(key, count);
  const out: Merge[] = [];
  while (out.length < merges) {
    const top = queue.pop();
    if (top === undefined) break;
    const now = table.countOf(top.key);
    if (now !== top.count) {
      // Merges made since have taken some of them.
      if (now > 0) queue.push(top.key, now);
      continue;
    }
    const made = 256 + out.length;
    out.push([Math.floor(top.key / LIMIT), top.key % LIMIT]);
    for (const key of table.merge(top.key, made)) if (table.countOf(key) > 0) queue.push(key, table.countOf(key));
  }
  return out;
}
