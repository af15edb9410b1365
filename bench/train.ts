// One training step of a latent transformer: bytes per second, beside the speed of the matrix product alone.
// Configurations: docs/performance.md. `pnpm bench train --config S --threads 1 --json`
import {
  type BltConfig,
  type BltParams,
  bltBatch,
  bltLosses,
  bltPlan,
  initParameters,
  type PatchedRow,
  planRun,
  RowDealer,
  TrainingLoop,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import {
  createWasmBackend,
  Random,
  run,
  scope,
  setDefaultBackend,
  tensor,
  totalFlops,
  withLedger,
} from '@blt-ts/tensor';

interface BenchConfig {
  readonly local: number;
  readonly localHeads: number;
  readonly decoderLayers: number;
  readonly global: number;
  readonly globalHeads: number;
  readonly globalLayers: number;
  readonly hidden: readonly [local: number, global: number];
  readonly hashVocab: number;
  readonly rows: number;
  readonly rowBytes: number;
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
  rows: 8,
  rowBytes: 512,
};
const CONFIGS: Record<string, BenchConfig> = {
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
    rows: 4,
    rowBytes: 1024,
  },
};

const flag = (name: string, fallback: string): string => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};

function modelConfig(c: BenchConfig): BltConfig {
  const local = (layers: number, all: boolean) => ({
    ...transformerConfig({
      hiddenSize: c.local,
      numHiddenLayers: layers,
      numAttentionHeads: c.localHeads,
      intermediateSize: c.hidden[0],
    }),
    crossAttnAllLayers: all,
  });
  return {
    vocabSize: VOCAB_SIZE,
    behaviour: 'facebook',
    window: 512,
    encoder: local(1, false),
    global: transformerConfig({
      hiddenSize: c.global,
      numHiddenLayers: c.globalLayers,
      numAttentionHeads: c.globalHeads,
      intermediateSize: c.hidden[1],
    }),
    decoder: local(c.decoderLayers, true),
    patcher: null,
    crossAttnK: 2,
    hash: { groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: c.hashVocab },
    patching: { mode: 'space' },
  };
}

/** A row of text-like bytes in patches of 4.5 bytes on average. */
function makeRow(bytes: number, random: Random): PatchedRow & { targets: Int32Array } {
  const ids = Int32Array.from({ length: bytes + 1 }, () => 4 + 97 + random.integer(26));
  const lengths = [1];
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, random.integer(2) === 0 ? 4 : 5);
    lengths.push(length);
    left -= length;
  }
  return { ids: ids.subarray(0, bytes), targets: ids.subarray(1), patchLengths: Int32Array.from(lengths) };
}

const name = flag('config', 'S');
const seconds = Number(flag('seconds', '15'));
const chosen = CONFIGS[name];
if (!chosen) {
  console.error(`--config must be one of ${Object.keys(CONFIGS).join(', ')}, got ${name}`);
  process.exit(2);
}
const c = { ...chosen, hashVocab: Number(flag('hash-vocab', String(chosen.hashVocab))) };
const backend = createWasmBackend({ threads: Number(flag('threads', '1')) });
setDefaultBackend(backend);
const config = modelConfig(c);
const random = new Random(1);
const params = initParameters<BltParams>(bltPlan(config), random.fork('init'));
const rows = Array.from({ length: c.rows }, () => makeRow(c.rowBytes, random));
const { model } = planRun({}, 1e6);
const loop = new TrainingLoop(
  params,
  new RowDealer(random, () => rows),
  {
    batch: (batchRows) => ({
      batch: bltBatch(batchRows, config),
      targets: Int32Array.from(batchRows.flatMap((r) => [...r.targets])),
    }),
    losses: (p, { batch, targets }, dropout) => bltLosses(p, batch, targets, config, dropout),
    reads: ({ batch }) => new Map([['model.encoder_hash_tok_embedding.weight', batch.hashIds!]]),
  },
  {
    ...model.loop,
    steps: 1e6,
    batchRows: c.rows,
    ema: null,
    dropout: { embedding: 0, residual: 0, hidden: 0, output: 0, hash: 0 },
  },
);

/** GFLOP/s of matrix products of the step's most common shape. */
function ceiling(): number {
  return scope(() => {
    const [m, k, n] = [c.rows * c.rowBytes, c.local, c.hidden[0]];
    const a = tensor(new Float32Array(m * k).fill(0.5), [m, k]);
    const b = tensor(new Float32Array(n * k).fill(0.5), [n, k]);
    const start = performance.now();
    let rounds = 0;
    for (; performance.now() - start < 300; rounds++)
      scope(() => void run('matmul', [a, b], { transposeA: false, transposeB: true }));
    return (2 * m * k * n * rounds) / ((performance.now() - start) * 1e6);
  });
}

const bytes = c.rows * c.rowBytes;
await loop.next();
await loop.next();
const times: number[] = [];
const speeds: number[] = [];
const begin = performance.now();
while (times.length < 3 || performance.now() - begin < seconds * 1000) {
  const start = performance.now();
  await loop.next();
  times.push((performance.now() - start) / 1000);
  speeds.push(ceiling());
}
times.sort((x, y) => x - y);
speeds.sort((x, y) => x - y);
const median = times[times.length >> 1];
const { ledger } = withLedger(() =>
  scope(
    () => void bltLosses(params, bltBatch(rows, config), Int32Array.from(rows.flatMap((r) => [...r.targets])), config),
  ),
);
const flops = 3 * totalFlops(ledger, ['matmul', 'intervalAttention']);
const result = {
  config: name,
  hash_vocab: c.hashVocab,
  threads: Number(flag('threads', '1')),
  backend: backend.description,
  bytes_per_s: Math.round(bytes / median),
  step_s: Number(median.toFixed(4)),
  best_step_s: Number(times[0].toFixed(4)),
  steps: times.length,
  gflops: Number((flops / median / 1e9).toFixed(1)),
  matmul_gflops: Number(speeds[speeds.length >> 1].toFixed(1)),
  mflop_per_byte: Number((flops / bytes / 1e6).toFixed(2)),
  rss_mb: Math.round(process.memoryUsage().rss / 2 ** 20),
};
if (process.argv.includes('--json')) console.log(JSON.stringify(result));
else {
  console.log(
    `train ${name}: ${result.bytes_per_s} bytes/s (${result.step_s} s a step, median of ${result.steps}), ${result.gflops} GFLOP/s`,
  );
  console.log(
    `matrix products alone, same run: ${result.matmul_gflops} GFLOP/s; ratio ${(result.gflops / result.matmul_gflops).toFixed(2)}`,
  );
  console.log(
    `${result.mflop_per_byte} MFLOP a byte forward and backward, ${result.rss_mb} MB resident, ${result.backend}`,
  );
}
