/** @file Computes a shard: entropies of its spans, and where patches end. */
import {
  type Corpus,
  type EntropyModelParams,
  type PatchingOptions,
  scoreEntropiesAsync,
  segmentLengths,
  type TransformerConfig,
} from '@blt-ts/blt';
import type { Backend } from '@blt-ts/tensor';
import type { Shard } from './shard-file.ts';
import { type Piece, type Span, shardRange, spansOf, tokensOf } from './spans.ts';

export interface EntropyModel {
  readonly params: EntropyModelParams;
  readonly config: TransformerConfig;
  readonly window: number;
  readonly backend: Backend;
}

/** Entropies of a span's pieces, each by itself, all in one batch: the same bits in whatever shard. */
const score = (span: Span, corpus: Corpus, batch: number, m: EntropyModel): Promise<Float32Array[]> =>
  scoreEntropiesAsync(
    m.params,
    span.map(({ part, document, from, to }) => corpus[part][document].subarray(from, to)),
    m.config,
    { window: m.window, documents: true, backend: m.backend, batchBytes: batch },
  );

const comparesRises = (p: PatchingOptions): boolean =>
  p.mode === 'entropy' && (p.monotonic === true || p.thresholdAdd != null);

/**
 * Shard `index` of `of`. The union of all shards does not depend on `of`.
 * @param model null where entropies decide nothing
 * @param onProgress told the tokens done and to do
 */
export async function makeShard(
  corpus: Corpus,
  frame: Pick<Shard, 'identity' | 'entropyModelSource' | 'index' | 'of'>,
  model: EntropyModel | null,
  onProgress: (done: number, all: number) => void = () => {},
): Promise<Shard> {
  const { identity, index, of } = frame;
  const spans = spansOf(corpus, identity);
  const [first, end] = shardRange(spans.length, index, of);
  const own = spans.slice(first, end);
  const tokens = tokensOf(own);
  // Entropies by document, for the segments of it that are known here.
  const known = new Map<Int32Array, Float32Array>();
  const keep = ({ part, document, from }: Piece, H: Float32Array) => {
    const ids = corpus[part][document];
    let all = known.get(ids);
    if (!all) known.set(ids, (all = new Float32Array(ids.length)));
    all.set(H, from);
  };
  const entropies = model ? new Float32Array(tokens) : null;
  let done = 0;
  if (model && entropies) {
    // A rise over the entropy before needs that entropy, if a document goes on here.
    if (comparesRises(identity.patching) && first > 0 && own[0]?.[0].from > 0) {
      const before = spans[first - 1];
      (await score(before, corpus, identity.batch, model)).forEach((H, i) => {
        keep(before[i], H);
      });
    }
    for (const span of own) {
      const scored = await score(span, corpus, identity.batch, model);
      scored.forEach((H, i) => {
        entropies.set(H, done);
        done += H.length;
        keep(span[i], H);
      });
      onProgress(done, tokens);
    }
  }
  const { lengths, open } = patchesOf(own, corpus, known, identity.patching);
  return { ...frame, tokens, entropies, patchLengths: lengths, open };
}

/** Patch lengths over the spans, joined where a document goes on. */
function patchesOf(
  spans: readonly Span[],
  corpus: Corpus,
  known: ReadonlyMap<Int32Array, Float32Array>,
  patching: PatchingOptions,
): { lengths: Int32Array; open: boolean } {
  const lengths = new Int32Array(tokensOf(spans));
  let patches = 0;
  let open = false;
  for (const { part, document, from, to } of spans.flat()) {
    const ids = corpus[part][document];
    const segment = segmentLengths(ids, from, to, known.get(ids) ?? null, patching);
    if (open) lengths[patches - 1] += segment.lengths[0];
    const fresh = segment.lengths.subarray(open ? 1 : 0);
    lengths.set(fresh, patches);
    patches += fresh.length;
    ({ open } = segment);
  }
  return { lengths: lengths.slice(0, patches), open };
}
