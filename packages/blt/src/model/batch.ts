/** @file From rows of bytes to what a model reads: ids, hash rows, positions and attention intervals as tensors. */

import type { IntervalBounds, RopeTable } from '@blt-ts/autograd';
import { ropeTable } from '@blt-ts/autograd';
import { type Backend, defaultBackend, hash32, type Tensor, tensor } from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import { type BltConfig, layoutOptions, type TransformerConfig } from './config.ts';
import { hashNgrams } from './hashing.ts';
import { type ByteLayout, buildLayout, byteLayout, type Interval, type Layout, type PatchedRow } from './layout.ts';

/** The rows of one stack of blocks: their positions, and the interval of rows that each sees. */
export interface StackContext {
  readonly bounds: IntervalBounds;
  readonly positions: Tensor;
  readonly rope: RopeTable;
  /** Keep only the input of each block for the backward pass and run the block again there. */
  readonly recompute?: boolean;
}

/** Where the tensors of a batch lie, and how its backward pass saves memory. */
export interface BatchOptions {
  readonly backend?: Backend;
  /** Less memory for about a third more time: see `recompute` in @blt-ts/autograd. */
  readonly recompute?: boolean;
}

/** A batch for a model over bytes alone (the entropy model). */
export interface ByteBatch {
  readonly layout: ByteLayout;
  /** [B] */
  readonly ids: Tensor;
  readonly local: StackContext;
}

/** A batch for the whole model. */
export interface BltBatch {
  readonly layout: Layout;
  /** [B] */
  readonly ids: Tensor;
  /** [B, tables] rows of the fused hash table; null without hash embeddings */
  readonly hashIds: Int32Array | null;
  /** [P+1] first byte of each patch */
  readonly patchStarts: Tensor;
  readonly encoder: StackContext;
  readonly global: StackContext;
  readonly decoder: StackContext;
  readonly encoderCross: IntervalBounds;
  readonly decoderCross: IntervalBounds;
}

/** N-grams of a row that are hidden: each reads a row of its table that is drawn at random, as one does that the tables never saw. */
export interface HiddenNgrams {
  /** [S] size of the longest n-gram that ends with this id and is not hidden; 0: all are */
  readonly longestShown: Uint16Array;
  readonly seed: number;
}

/** A row, and which of its n-grams are hidden. */
export interface HashedRow extends PatchedRow {
  /** Left out: none are. */
  readonly hiddenNgrams?: HiddenNgrams;
}

/** Rows of the fused hash table, [S * tables]. */
function ngramRows({ ids, hiddenNgrams }: HashedRow, hash: BltConfig['hash']): Int32Array {
  const rows = hashNgrams(ids, hash);
  if (!hiddenNgrams) return rows;
  const { longestShown, seed } = hiddenNgrams;
  const { groupSizes, functions, vocab } = hash;
  const tables = functions * groupSizes.length;
  return rows.map((row, at) => {
    const table = at % tables;
    const hidden = groupSizes[table % groupSizes.length] > longestShown[(at - table) / tables];
    return hidden ? table * vocab + (hash32(seed, at) % vocab) : row;
  });
}

/** An interval as tensors. */
function bounds({ lo, hi }: Interval, backend: Backend): IntervalBounds {
  let pairs = 0;
  for (let i = 0; i < lo.length; i++) pairs += hi[i] - lo[i];
  return { lo: tensor(lo, undefined, { backend }), hi: tensor(hi, undefined, { backend }), pairs };
}

/** @throws ConfigError if a row has more positions than the stack takes */
function context(
  name: string,
  c: TransformerConfig,
  interval: IntervalBounds,
  positions: Int32Array,
  backend: Backend,
  recompute: boolean,
): StackContext {
  let longest = 0;
  for (const p of positions) longest = Math.max(longest, p + 1);
  if (longest > c.maxPositionEmbeddings) {
    throw new ConfigError(
      `${name}: a row has ${longest} positions, the model takes ${c.maxPositionEmbeddings}; cut the row or raise max_position_embeddings`,
    );
  }
  return {
    bounds: interval,
    positions: tensor(positions, undefined, { backend }),
    rope: ropeTable(backend, c.ropeTheta, c.hiddenSize / c.numAttentionHeads, longest),
    recompute,
  };
}

/** Rows of ids for an entropy model. */
export function byteBatch(
  rows: readonly Int32Array[],
  c: TransformerConfig,
  options: { window: number | null; documents: boolean } & BatchOptions,
): ByteBatch {
  const backend = options.backend ?? defaultBackend();
  const layout = byteLayout(rows, options);
  return {
    layout,
    ids: tensor(layout.ids, undefined, { backend }),
    local: context(
      'entropy model',
      c,
      bounds(layout.local, backend),
      layout.positions,
      backend,
      options.recompute ?? false,
    ),
  };
}

/** Rows of ids and patch lengths (the next token included) for the whole model. */
export function bltBatch(
  rows: readonly HashedRow[],
  config: BltConfig,
  { backend = defaultBackend(), recompute = false }: BatchOptions = {},
): BltBatch {
  const layout = buildLayout(rows, layoutOptions(config));
  const local = bounds(layout.local, backend);
  const { groupSizes, functions } = config.hash;
  const tables = functions * groupSizes.length;
  let hashIds: Int32Array | null = null;
  if (tables > 0) {
    hashIds = new Int32Array(layout.bytes * tables);
    for (const [r, row] of rows.entries()) hashIds.set(ngramRows(row, config.hash), layout.rowStarts[r] * tables);
  }
  return {
    layout,
    ids: tensor(layout.ids, undefined, { backend }),
    hashIds,
    patchStarts: tensor(layout.patchStarts, undefined, { backend }),
    encoder: context('local encoder', config.encoder, local, layout.positions, backend, recompute),
    global: context(
      'global transformer',
      config.global,
      bounds(layout.global, backend),
      layout.patchPositions,
      backend,
      recompute,
    ),
    decoder: context('local decoder', config.decoder, local, layout.positions, backend, recompute),
    encoderCross: bounds(layout.encoderCross, backend),
    decoderCross: bounds(layout.decoderCross, backend),
  };
}
