/** @file Where the held-out end of a document begins, found while its bytes pass by, so that they need not be read a second time. */
import { LONGEST_LOOK, plainTailStart, tailStart } from '../data/split.ts';

/** The bytes that decide where a document is cut: those about `cut`, which is a place that its size alone gives. */
export const aroundCut = (cut: number, size: number): { from: number; to: number } => ({
  from: Math.max(0, cut - LONGEST_LOOK - 1),
  to: Math.min(size, cut + LONGEST_LOOK + 1),
});

/** The end of one document of known size that may be held out. Its bytes are given in order. */
export class Tail {
  private readonly size: number;
  private readonly fraction: number;
  private readonly from: number;
  private readonly kept: Uint8Array;

  /** @param fraction of the document that is held out */
  constructor(size: number, fraction: number) {
    const { from, to } = aroundCut(plainTailStart(size, fraction), size);
    this.size = size;
    this.fraction = fraction;
    this.from = from;
    this.kept = new Uint8Array(to - from);
  }

  /** @param at place of the first of these bytes in the document */
  take(bytes: Uint8Array, at: number): void {
    const [from, to] = [Math.max(this.from, at), Math.min(this.from + this.kept.length, at + bytes.length)];
    if (from < to) this.kept.set(bytes.subarray(from - at, to - at), from - this.from);
  }

  /** The byte before which all is trained on: the size, if the document is too short to have a held-out end. */
  cut(): number {
    return tailStart((at) => this.kept[at - this.from], this.size, this.fraction);
  }
}
