/**
 * @file Speculation past the end of a patch: bytes are drafted, and the whole model checks a draft in one pass. Drafts are copied from
 * where the text stood like this before, which costs nothing, or made by the local models alone.
 */
import type { WithReadback } from '../readback.ts';
import type { Decoder } from './decoder.ts';

/**
 * The ids that follow `first`, at most `room` of them and at least one: exactly those that reading byte by byte would give.
 *
 * Without a draft the local encoder and decoder make one: they go on alone, looking at the newest finished patch even where a new one
 * should have begun. One pass of the whole model over `first` and the draft then says what each id should have been. The first that
 * differs is replaced, and what follows it is forgotten. Within a patch a draft is never wrong. Past its end it usually is right on
 * predictable text.
 * The pass reads every weight once for all bytes, and the global model's steps of several patches run side by side.
 * @param first id that is known but not read   @param draft ids that may follow it; if empty, the local models make the draft
 * @param draw the n-th next id from logits, the same for the same logits
 * @returns ids drawn from the whole model's logits; all but the last have been read
 * @see Fast BLT (2026), self-speculation (BLT-S); here drafts also cover the rest of the open patch
 */
export function* speculate(
  decoder: Decoder,
  first: number,
  room: number,
  draft: readonly number[],
  draw: (logits: Float32Array, n: number) => number,
): WithReadback<number[]> {
  const { vocabSize } = decoder.config;
  decoder.reserve(room);
  const pending = [first, ...draft.slice(0, room - 1)];
  while (draft.length === 0 && pending.length < room) {
    const id = draw(yield* decoder.draft(pending), pending.length - 1);
    if (id < 4) break; // the end of the document is for the whole model to say
    pending.push(id);
  }
  const ids: number[] = [];
  yield* decoder.verify(pending, (logits) => {
    for (let n = 0; n < pending.length; n++) {
      const id = draw(logits.subarray(n * vocabSize, (n + 1) * vocabSize), n);
      ids.push(id);
      if (id !== pending[n + 1]) break;
    }
    return ids.length;
  });
  return ids;
}

/** This many ids must be equal before what followed them is copied. */
const MATCH = 8;

/**
 * `count` ids that followed the newest earlier place where the last 8 ids are those at the end of `ids`; empty if there is none. Where
 * that place is so near that its text ends first, its period goes on.
 * @see Saxena 2023, prompt lookup decoding
 */
export function copyDraft(ids: readonly number[], count: number): number[] {
  const n = ids.length;
  for (let end = n - 1; end >= MATCH; end--) {
    let same = 0;
    while (same < MATCH && ids[end - 1 - same] === ids[n - 1 - same]) same++;
    if (same === MATCH) return Array.from({ length: count }, (_, i) => ids[end + (i % (n - end))]);
  }
  return [];
}

/** How far to draft: twice as far while drafts hold, less when they break off, and not at all for a while when they fail at once. */
export class DraftLength {
  private readonly most: number;
  private length: number;
  private pause = 0;
  private rest = 0;

  constructor(most: number) {
    this.most = most;
    this.length = Math.min(4, most);
  }

  /** Bytes of the next draft; 1 = none. To be wanted once for each step. */
  next(): number {
    if (this.rest > 0) {
      this.rest--;
      return 1;
    }
    return this.length;
  }

  /** A draft of `room` bytes gave `kept` of them. */
  learn(room: number, kept: number): void {
    if (kept >= room) {
      this.length = Math.min(this.most, this.length * 2);
      this.pause = 0;
    } else if (2 * kept >= room) {
      this.length = Math.max(2, kept);
    } else {
      this.length = Math.min(4, this.most);
      this.pause = Math.min(64, Math.max(4, 2 * this.pause));
      this.rest = this.pause;
    }
  }
}
