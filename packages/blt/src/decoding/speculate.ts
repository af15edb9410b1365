/** @file Speculation past the end of a patch: the local models draft, the whole model checks a draft in one pass. */
import type { Reading } from '../reading.ts';
import type { Decoder } from './decoder.ts';

/**
 * The ids that follow `first`, at most `room` of them and at least one: exactly those that reading byte by byte would give.
 *
 * The local encoder and decoder go on alone, looking at the newest finished patch even where a new one should have begun, and so draft
 * ids. One pass of the whole model over `first` and the draft then says what each id should have been; the first that differs is
 * replaced and what follows it forgotten. Within a patch a draft is never wrong; past its end it usually is right on predictable text.
 * The pass reads every weight once for all bytes, and the global model's steps of several patches run side by side.
 * @param first id that is known but not read   @param draw the n-th next id from logits, the same for the same logits
 * @returns ids drawn from the whole model's logits; all but the last have been read
 * @see Fast BLT (2026), self-speculation (BLT-S); here drafts also cover the rest of the open patch
 */
export function* speculate(
  decoder: Decoder,
  first: number,
  room: number,
  draw: (logits: Float32Array, n: number) => number,
): Reading<number[]> {
  const { vocabSize } = decoder.config;
  decoder.reserve(room);
  const pending = [first];
  while (pending.length < room) {
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

  /** Bytes of the next draft; 1 = none. To be asked once for each step. */
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
