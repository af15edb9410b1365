/** @file The models that training is measured on, and a training loop over text-like rows for each. Sizes: docs/performance.md. */
import {
  type BltBatch,
  type BltConfig,
  type BltParams,
  bltBatch,
  bltLosses,
  bltPlan,
  type DropoutRates,
  EpochLoader,
  initParameters,
  NO_DROPOUT,
  type PatchedRow,
  planRun,
  SIZES,
  type Size,
  TrainingLoop,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { type Backend, Random, scope, totalFlops, withLedger } from '@blt-ts/tensor';
import { type Flags, oneOf } from './harness.ts';

export interface BenchConfig {
  readonly local: number;
  readonly localHeads: number;
  readonly decoderLayers: number;
  readonly global: number;
  readonly globalHeads: number;
  readonly globalLayers: number;
  readonly hidden: readonly [local: number, global: number];
  readonly hashVocab: number;
  /** Width of the entropy model, where decoding is measured. */
  readonly entropy: number;
  readonly rows: number;
  readonly rowBytes: number;
  /** Of a preset: rows of a pass. */
  readonly passRows?: number;
  /** Of a preset: the n-gram sizes, the window and the dropout of its runs. S, SL and M have those of the paper and no dropout. */
  readonly hashSizes?: readonly number[];
  readonly window?: number;
  readonly dropout?: DropoutRates;
}

const S: BenchConfig = {
  local: 128,
  localHeads: 4,
  decoderLayers: 3,
  global: 256,
  globalHeads: 4,
  globalLayers: 4,
  hidden: [384, 768],
  hashVocab: 8192,
  entropy: 96,
  rows: 8,
  rowBytes: 512,
};

/** The model and the rows of `blt train --size`, with the dropout of a run on the built-in book. */
function presetConfig(size: Size): BenchConfig {
  const { config, model } = planRun({ size }, 1_073_475);
  const { encoder, decoder, global, hash, patcher } = config;
  return {
    local: decoder.hiddenSize,
    localHeads: decoder.numAttentionHeads,
    decoderLayers: decoder.numHiddenLayers,
    global: global.hiddenSize,
    globalHeads: global.numAttentionHeads,
    globalLayers: global.numHiddenLayers,
    hidden: [encoder.intermediateSize, global.intermediateSize],
    hashVocab: hash.vocab,
    entropy: patcher!.hiddenSize,
    rows: model.loop.batchRows,
    rowBytes: model.maxRowBytes! / 2,
    passRows: model.loop.passRows,
    hashSizes: hash.groupSizes,
    window: config.window ?? undefined,
    dropout: model.loop.dropout,
  };
}

export const CONFIGS: Record<string, BenchConfig> = {
  S,
  SL: { ...S, rows: 1, rowBytes: 8192 },
  M: {
    local: 256,
    localHeads: 8,
    decoderLayers: 4,
    global: 512,
    globalHeads: 8,
    globalLayers: 8,
    hidden: [768, 1536],
    hashVocab: 16384,
    entropy: 128,
    rows: 4,
    rowBytes: 1024,
  },
  ...Object.fromEntries(SIZES.map((size) => [size, presetConfig(size)])),
};

/** The flags that choose a configuration. */
export const CONFIG_FLAGS = { config: 'S', 'hash-vocab': null, rows: null, 'row-bytes': null } as const;

/** The configuration of `--config`, changed by `--hash-vocab`, `--rows` and `--row-bytes`. Exits with code 2 if there is none. */
export function chosenConfig(f: Flags<typeof CONFIG_FLAGS>): { name: string; config: BenchConfig } {
  const config = CONFIGS[oneOf('config', f.config, Object.keys(CONFIGS))];
  return {
    name: f.config,
    config: {
      ...config,
      hashVocab: f['hash-vocab'] ?? config.hashVocab,
      rows: f.rows ?? config.rows,
      rowBytes: f['row-bytes'] ?? config.rowBytes,
    },
  };
}

export function modelConfig(c: BenchConfig): BltConfig {
  const maxPositionEmbeddings = Math.max(8192, c.rowBytes);
  const local = (layers: number, all: boolean) => ({
    ...transformerConfig({
      hiddenSize: c.local,
      numHiddenLayers: layers,
      numAttentionHeads: c.localHeads,
      intermediateSize: c.hidden[0],
      maxPositionEmbeddings,
    }),
    crossAttnAllLayers: all,
  });
  return {
    vocabSize: VOCAB_SIZE,
    behaviour: 'facebook',
    window: c.window ?? 512,
    encoder: local(1, false),
    global: transformerConfig({
      hiddenSize: c.global,
      numHiddenLayers: c.globalLayers,
      numAttentionHeads: c.globalHeads,
      intermediateSize: c.hidden[1],
      maxPositionEmbeddings,
    }),
    decoder: local(c.decoderLayers, true),
    patcher: null,
    crossAttnK: 2,
    hash: { groupSizes: c.hashSizes ?? [3, 4, 5, 6, 7, 8], functions: 1, vocab: c.hashVocab },
    patching: { mode: 'space' },
  };
}

/** The entropy model that decoding is measured with: two layers, heads of 32. */
export const entropyConfig = ({ entropy }: BenchConfig) =>
  transformerConfig({
    hiddenSize: entropy,
    numHiddenLayers: 2,
    numAttentionHeads: entropy / 32,
    ropeTheta: 10_000,
  });

export type Row = PatchedRow & { readonly targets: Int32Array };

/** A row of random letters in patches of 4.5 bytes on average: more different n-grams than text has. */
export function makeRow(bytes: number, random: Random): Row {
  const ids = Int32Array.from({ length: bytes + 1 }, () => 4 + 97 + random.integer(26));
  const lengths = [1];
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, random.integer(2) === 0 ? 4 : 5);
    lengths.push(length);
    left -= length;
  }
  return { ids: ids.subarray(0, bytes), targets: ids.subarray(1), patchLengths: Int32Array.from(lengths) };
}

/** Different batches before the first comes again: rows of the tables lag behind and are caught up, as in training. */
const BATCHES = 16;

export interface Batch {
  readonly batch: BltBatch;
  readonly targets: Int32Array;
}

export interface TrainingBench {
  readonly loop: TrainingLoop<BltParams, Row, Batch>;
  readonly params: BltParams;
  readonly config: BltConfig;
  /** FLOPs of products and attention in one step, forward and backward. */
  flops(): number;
  /** Patches of a step's batches: the next one's, and so on. */
  patches(): number;
}

/** A model with its optimiser, ready to step. */
export function trainingBench(c: BenchConfig, backend: Backend, { recompute = false } = {}): TrainingBench {
  const config = modelConfig(c);
  const random = new Random(1);
  const params = initParameters<BltParams>(bltPlan(config), random.fork('init'), { backend });
  const text = random.fork('rows');
  const pool = Array.from({ length: c.rows * BATCHES }, () => makeRow(c.rowBytes, text));
  let at = 0;
  const nextRows = () => Array.from({ length: c.rows }, () => pool[at++ % pool.length]);
  const batchOf = (rows: readonly Row[]): Batch => ({
    batch: bltBatch(rows, config, { backend, recompute }),
    targets: Int32Array.from(rows.flatMap((row) => [...row.targets])),
  });
  const { model } = planRun({}, 1e6);
  const loop = new TrainingLoop<BltParams, Row, Batch>(
    params,
    new EpochLoader(random, nextRows),
    {
      batch: batchOf,
      losses: (p, { batch, targets }, dropout) => bltLosses(p, batch, targets, config, dropout),
      reads: ({ batch }) => new Map([['model.encoder_hash_tok_embedding.weight', batch.hashIds!]]),
    },
    {
      ...model.loop,
      steps: 1e6,
      batchRows: c.rows,
      passRows: c.passRows,
      ema: null,
      dropout: c.dropout ?? NO_DROPOUT,
    },
  );
  return {
    loop,
    params,
    config,
    patches: () => batchOf(nextRows()).batch.layout.patches,
    flops() {
      const rows = nextRows();
      const { ledger } = withLedger(() =>
        scope(() => {
          const { batch, targets } = batchOf(rows);
          bltLosses(params, batch, targets, config);
        }),
      );
      return 3 * totalFlops(ledger, ['matmul', 'intervalAttention']);
    },
  };
}
