/**
 * @file The token transformer: the Llama-style stack of the entropy model over tokens. Without merges its tokens are bytes, which makes it
 * the plain byte transformer. With n-gram tables it has the memory free of FLOPs that BLT's hash embeddings are.
 */
import { add, embeddingBag, gatherRows, linear, rmsNorm } from '@blt-ts/autograd';
import {
  BOS,
  type ByteBatch,
  byteBatch,
  type Dropout,
  type EntropyModelParams,
  EOS,
  entropyModelPlan,
  type TransformerConfig,
  transformerConfig,
  transformerStack,
  type Weight,
} from '@blt-ts/blt';
import { type Backend, hash32, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { type Arm, headsOf, type StudyRow } from './arm.ts';
import type { Tokenizer } from './bpe.ts';
import type { StudyDocument } from './chunks.ts';
import { transformerForward } from './executed-flops.ts';
import type { TokenConfig } from './run-config.ts';

/** Parameters of a token transformer. */
export interface TokenParams extends EntropyModelParams {
  /** [sizes * rows, width] embeddings of hashed n-grams of tokens. */
  readonly ngrams?: Weight;
}

/** The parameter of the n-gram tables. */
export const NGRAM_TABLE = 'ngrams.weight';

interface TokenBatch extends ByteBatch {
  /** [positions, sizes] rows of the n-gram table, or null. */
  readonly ngramIds: Int32Array | null;
}

/** The stack of a token transformer. */
export const tokenStack = ({ width, layers, row_bytes }: TokenConfig): TransformerConfig =>
  transformerConfig({
    hiddenSize: width,
    numHiddenLayers: layers,
    numAttentionHeads: headsOf(width),
    maxPositionEmbeddings: Math.max(8192, 4 * row_bytes),
    ropeTheta: 10_000,
  });

/** Rows of the table for the n-grams that end at each id; ids before the row are 0. */
function ngramRows(ids: Int32Array, sizes: readonly number[], rows: number): Int32Array {
  const out = new Int32Array(ids.length * sizes.length);
  for (let i = 0; i < ids.length; i++) {
    sizes.forEach((size, s) => {
      let hash = size;
      for (let j = 0; j < size; j++) hash = hash32(hash, i - j < 0 ? 0 : ids[i - j]);
      out[i * sizes.length + s] = s * rows + (hash % rows);
    });
  }
  return out;
}

/** [1 + n] ids with one in front. */
function prefixed(first: number, rest: Int32Array): Int32Array {
  const out = new Int32Array(rest.length + 1);
  out[0] = first;
  out.set(rest, 1);
  return out;
}

/** Chunks as rows of tokens. Each chunk is encoded by itself. */
function tokenRows(
  tokenizer: Tokenizer,
  { bytes, complete }: StudyDocument,
  ends: readonly number[],
  context: boolean,
) {
  const rows: StudyRow[] = [];
  // The id before each chunk, and the chunk before.
  let first: number = BOS;
  let before: Int32Array = new Int32Array(0);
  let from = 0;
  ends.forEach((end, i) => {
    const own = tokenizer.encode(bytes.subarray(from, end));
    const last = complete && i === ends.length - 1;
    const targets = Int32Array.from([...(context ? before : []), ...own, ...(last ? [EOS] : [])]);
    const ids = prefixed(context ? first : (before.at(-1) ?? BOS), targets.subarray(0, -1));
    rows.push({ ids, targets, patchLengths: new Int32Array(0), scoredFrom: context ? before.length : 0 });
    [first, before, from] = [before.at(-1) ?? BOS, own, end];
  });
  return rows;
}

/** The token transformer of a configuration; the byte transformer if the tokenizer has no merges. */
export function tokenArm(config: TokenConfig, tokenizer: Tokenizer, backend: Backend): Arm<TokenParams, TokenBatch> {
  const stack = tokenStack(config);
  const { ngrams, ngram_rows: tableRows, width } = config;
  const table = {
    name: NGRAM_TABLE,
    shape: [ngrams.length * tableRows, width],
    std: config.table_init / Math.sqrt(width),
  };
  const embedded = (p: TokenParams, batch: TokenBatch): Tensor => {
    const tokens = gatherRows(p.embed_tokens.weight, batch.ids);
    if (!p.ngrams || !batch.ngramIds) return tokens;
    const ids = tensor(batch.ngramIds, [batch.layout.bytes, ngrams.length], { backend });
    return scope(() => add(tokens, embeddingBag(p.ngrams!.weight, ids)));
  };
  return {
    parameters: [...entropyModelPlan(stack, tokenizer.vocabSize), ...(ngrams.length > 0 ? [table] : [])],
    byteLengths: tokenizer.byteLengths,
    rows: (document, ends, context) => tokenRows(tokenizer, document, ends, context),
    batch(rows) {
      const ids = rows.map((row) => row.ids);
      const batch = byteBatch(ids, stack, { window: config.window, documents: true, backend });
      if (ngrams.length === 0) return { ...batch, ngramIds: null };
      const ngramIds = new Int32Array(batch.layout.bytes * ngrams.length);
      for (const [r, row] of ids.entries()) {
        ngramIds.set(ngramRows(row, ngrams, tableRows), batch.layout.rowStarts[r] * ngrams.length);
      }
      return { ...batch, ngramIds };
    },
    logits(p, batch, dropout?: Dropout) {
      const x = embedded(p, batch);
      const h = transformerStack(p.layers, dropout?.embedding(x) ?? x, batch.local, stack, dropout);
      const states = rmsNorm(h, p.norm.weight, stack.rmsNormEps);
      return linear(dropout?.output(states) ?? states, p.lm_head.weight);
    },
    reads: ({ ngramIds }) => new Map(ngramIds ? [[NGRAM_TABLE, ngramIds]] : []),
    flops: ({ layout, local }) => ({
      model: transformerForward(stack, tokenizer.vocabSize, layout.bytes, local.bounds.pairs),
      patcher: 0,
    }),
  };
}
