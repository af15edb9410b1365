/**
 * @file Speed of incremental decoding: `pnpm bench decode [S|M] [bytes] [bf16] [--threads N]`. The model is untrained (speed
 * does not depend on the weights), the threshold calibrated to 4.5 bytes a patch on the text that is fed byte by byte.
 *
 * Figures are CPU time of the process on one thread, and time by the clock on several, over stretches of 25 bytes: their median, and the best, which others working on the machine
 * disturb least. The floor measured between stretches: the bytes of the weights that one byte's step reads, as one matrix read
 * from memory that the model before has pushed out of the caches.
 */
import {
  type BltConfig,
  type BltParams,
  bltPlan,
  calibrateThreshold,
  Decoder,
  type EntropyModelParams,
  encode,
  entropyModelPlan,
  generate,
  initParameters,
  namedTensors,
  narrowWeights,
  scoreEntropies,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import {
  createWasmBackend,
  forEachTensor,
  narrow,
  Random,
  run,
  scope,
  type Tensor,
  totalFlops,
  withLedger,
  zeros,
} from '@blt-ts/tensor';
import { clockFor, numberFlag } from './support/harness.ts';

const SIZES = {
  S: { local: 128, heads: 4, decoder: 3, global: 256, globalHeads: 4, globalLayers: 4, hash: 8192, entropy: 96 },
  M: { local: 256, heads: 8, decoder: 4, global: 512, globalHeads: 8, globalLayers: 8, hash: 16384, entropy: 128 },
} as const;

const bf16 = process.argv.includes('bf16');
const size = (process.argv[2] ?? 'S') as keyof typeof SIZES;
const bytes = Number(process.argv[3] ?? 1000);
const s = SIZES[size];
const local = (layers: number) =>
  transformerConfig({ hiddenSize: s.local, numHiddenLayers: layers, numAttentionHeads: s.heads });
const config: BltConfig = {
  vocabSize: VOCAB_SIZE,
  behaviour: 'facebook',
  window: 512,
  encoder: { ...local(1), crossAttnAllLayers: false },
  decoder: { ...local(s.decoder), crossAttnAllLayers: true },
  global: transformerConfig({
    hiddenSize: s.global,
    numHiddenLayers: s.globalLayers,
    numAttentionHeads: s.globalHeads,
  }),
  patcher: transformerConfig({
    hiddenSize: s.entropy,
    numHiddenLayers: 2,
    numAttentionHeads: s.entropy / 32,
    ropeTheta: 10_000,
  }),
  crossAttnK: 2,
  hash: { groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: s.hash },
  patching: { mode: 'entropy', threshold: 0 },
};
const threads = numberFlag('threads', 1);
const backend = createWasmBackend({ threads });
await backend.threadsReady();
const random = new Random(1);
const params = initParameters<BltParams>(bltPlan(config), random, { backend });
const patcher = initParameters<EntropyModelParams>(entropyModelPlan(config.patcher!, VOCAB_SIZE), random, { backend });
const text = Array.from({ length: bytes }, (_, i) => 97 + ((i * 7 + Math.floor(i / 13) * 5) % 26));
const ids = encode(Uint8Array.from(text));
const [entropies] = scoreEntropies(patcher, [ids], config.patcher!, { window: 512, documents: true, backend });
const { threshold } = calibrateThreshold([entropies], 4.5);
const checkpoint = { config: { ...config, patching: { mode: 'entropy' as const, threshold } }, params, patcher };

if (bf16) narrowWeights(namedTensors(checkpoint));

const clock = clockFor(threads);
/** Milliseconds that `f` takes. */
function timeOf(f: () => void): number {
  const before = clock();
  f();
  return clock() - before;
}
const unit = threads > 1 ? 'ms' : 'ms of CPU';
const sorted = (times: number[]) => [...times].sort((a, b) => a - b);
const show = (times: number[]) =>
  `median ${sorted(times)[times.length >> 1].toFixed(3)}, best ${sorted(times)[0].toFixed(3)}`;

const prompt = Math.floor(bytes / 2);
const decoder = new Decoder(checkpoint);
decoder.feed([ids.subarray(0, prompt)]);
const { ledger } = withLedger(() => {
  for (let i = prompt; i < ids.length; i++) decoder.feed([[ids[i]]]);
});
decoder.release();
const n = ids.length - prompt;
const perByte = (kernel: 'matmul' | 'intervalAttention') => totalFlops(ledger, [kernel]) / n;
const flops = perByte('matmul') + perByte('intervalAttention');
const calls = [...ledger.values()].reduce((t, l) => t + l.calls, 0) / n;
console.log(`${size}: ${(flops / 1e6).toFixed(3)} MFLOP and ${calls.toFixed(0)} kernels a byte`);

/** Weights in matrices, but the tables that few rows of are read. */
function bytesOfMatrices(tree: unknown): number {
  let total = 0;
  forEachTensor(tree, (x: Tensor) => {
    if (x.rank === 2 && x.shape[0] < 10_000) total += 4 * x.size;
  });
  return total;
}
const weights = bytesOfMatrices(params) + bytesOfMatrices(patcher); // as float32
const read = zeros([Math.ceil(weights / 4 / 1024), 1024], { backend });
const row = zeros([1, 1024], { backend });
if (bf16) narrow(read);

const times: number[] = [];
const floors: number[] = [];
for (let round = 0; round < 4; round++) {
  const d = new Decoder(checkpoint);
  const prefill = timeOf(() => d.feed([ids.subarray(0, prompt)]));
  const before = d.globalSteps;
  for (let i = prompt; i + 25 <= ids.length; i += 25) {
    const time = timeOf(() => {
      for (let j = i; j < i + 25; j++) d.feed([[ids[j]]]);
    });
    if (round > 0) times.push(time / 25);
    if (i % 100 === 0) {
      const all = timeOf(() => scope(() => void run('matmul', [row, read], { transposeA: false, transposeB: true })));
      // Two FLOPs of a product with one row are four bytes of a weight.
      floors.push((all * 2 * perByte('matmul')) / weights);
    }
  }
  if (round === 1) {
    const patches = d.globalSteps - before;
    console.log(
      `prompt of ${prompt} bytes ${prefill.toFixed(1)} ${unit}; then ${(n / patches).toFixed(2)} bytes a patch`,
    );
  }
  d.release();
}
const megabytes = (perByte('matmul') * (bf16 ? 1 : 2)) / 1e6;
console.log(`${unit} a byte: ${show(times)}`);
console.log(`reading its ${megabytes.toFixed(1)} MB of weights alone: ${show(floors)}`);

// Speculation: greedy bytes with and without drafts. An untrained model soon repeats itself, which is predictable text.
for (const draftBytes of [0, 4, 6, 8, 12]) {
  let ran = { bytes: 0, globalSteps: 0, byteSteps: 0 };
  let sum = 0;
  const each: number[] = [];
  for (let round = 0; round < 3; round++) {
    const made: number[] = [];
    const options = { maxBytes: 200, temperature: 0, ignoreEos: true, draftBytes };
    const time = timeOf(() => {
      made.push(
        ...generate(checkpoint, 'abcabcabc', {
          ...options,
          onDone: (counts) => {
            ran = counts;
          },
        }),
      );
    });
    each.push(time / made.length);
    sum = made.reduce((a, b, i) => (a * 31 + b * (i + 1)) % 1_000_003, 0);
  }
  console.log(`drafts of ${draftBytes}: ${show(each)} ${unit} a byte, ${ran.globalSteps} global steps, text ${sum}`);
}
