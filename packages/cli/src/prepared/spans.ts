/**
 * @file How a corpus is divided into spans, the pieces of work that shards are made of. A function of the corpus alone: whatever the
 * number of shards, a span is scored by itself, so that its entropies have the same bits.
 */
import type { Corpus } from '@blt-ts/blt';

/** Tokens of one document, as many as the entropy model's context at most: it starts afresh with every piece. */
export interface Piece {
  readonly part: keyof Corpus;
  readonly document: number;
  /** Tokens from .. to-1 of the document. */
  readonly from: number;
  readonly to: number;
}

/** Pieces that are scored in one batch. */
export type Span = readonly Piece[];

/** How a corpus is cut into the spans that are scored at once. */
export interface SpanSizes {
  /** Most tokens of a piece: the context of the entropy model. */
  readonly context: number;
  /** A span takes further pieces as long as it has no more tokens than this. */
  readonly batch: number;
}

/** The spans of a corpus in order: training documents, then held-out ones; a span is of one part. */
export function spansOf(corpus: Corpus, { context, batch }: SpanSizes): Span[] {
  const spans: Piece[][] = [];
  for (const part of ['train', 'heldOut'] as const) {
    let room = 0;
    corpus[part].forEach((ids, document) => {
      for (let from = 0; from < ids.length; from += context) {
        const to = Math.min(ids.length, from + context);
        if (to - from > room) {
          spans.push([]);
          room = batch;
        }
        spans.at(-1)!.push({ part, document, from, to });
        room -= to - from;
      }
    });
  }
  return spans;
}

/** Shard i of n, both counted from 1: the spans floor((i-1) S / n) to floor(i S / n), the latter excluded. */
export function shardRange(spans: number, i: number, n: number): [first: number, end: number] {
  return [Math.floor(((i - 1) * spans) / n), Math.floor((i * spans) / n)];
}

export const tokensOf = (spans: readonly Span[]): number =>
  spans.reduce((sum, span) => span.reduce((s, { from, to }) => s + to - from, sum), 0);
