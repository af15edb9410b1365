/**
 * @file Speed of incremental decoding: `pnpm bench decode [--config S|SL|M|nano] [--bytes 1000] [--weights f32|bf16] [--threads 1] [--json]`.
 * The model is untrained (speed does not depend on the weights), the threshold calibrated to 4.5 bytes a patch on the text, whose
 * second half is fed byte by byte.
 *
 * Figures are CPU time of the process on one thread, and time by the clock on several, over stretches of 25 bytes: their median, and
 * the best, which others working on the machine disturb least. The floor measured between stretches: the bytes of the weights that
 * one byte's step reads, as one matrix read from memory that the model before has pushed out of the caches.
 */
import {
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
  scoreEntropies,
  storeMatricesAsBf16,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import {
  createWasmBackend,
  forEachTensor,
  Random,
  run,
  scope,
  storeAsBf16,
  type Tensor,
  totalFlops,
  withLedger,
  zeros,
} from '@blt-ts/tensor';
import { CONFIG_FLAGS, chosenConfig, entropyConfig, modelConfig } from './support/configurations.ts';
import { clockFor, flags, median, oneOf, report, short, usage } from './support/harness.ts';

const STRETCH = 25;
const f = flags({ ...CONFIG_FLAGS, bytes: null, weights: 'f32', threads: 1 });
const { name, config: sizes } = chosenConfig(f);
const bytes = f.bytes ?? Math.max(1000, sizes.rowBytes);
const { threads } = f;
if (bytes < 4 * STRETCH)
  usage(`--bytes ${bytes}: half of them are fed in stretches of ${STRETCH}; give ${4 * STRETCH} or more`);
const bf16 = oneOf('weights', f.weights, ['f32', 'bf16']) === 'bf16';
const patching = { mode: 'entropy' as const, threshold: 0 };
const patcherConfig = entropyConfig(sizes);
const config = { ...modelConfig(sizes), patcher: patcherConfig, patching };
const backend = createWasmBackend({ threads });
await backend.threadsReady();
const random = new Random(1);
const params = initParameters<BltParams>(bltPlan(config), random, { backend });
const patcher = initParameters<EntropyModelParams>(entropyModelPlan(patcherConfig, VOCAB_SIZE), random, { backend });
const text = Array.from({ length: bytes }, (_, i) => 97 + ((i * 7 + Math.floor(i / 13) * 5) % 26));
const ids = encode(Uint8Array.from(text));
const [entropies] = scoreEntropies(patcher, [ids], patcherConfig, { window: 512, documents: true, backend });
const { threshold } = calibrateThreshold([entropies], 4.5);
const checkpoint = { config: { ...config, patching: { ...patching, threshold } }, params, patcher };
if (bf16) storeMatricesAsBf16(namedTensors(checkpoint));

const clock = clockFor(threads);
/** Milliseconds that `action` takes. */
function timeOf(action: () => void): number {
  const before = clock();
  action();
  return clock() - before;
}

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

/** Weights in matrices, but the tables that few rows of are read. */
function bytesOfMatrices(tree: unknown): number {
  let total = 0;
  forEachTensor(tree, (x: Tensor) => {
    if (x.rank === 2 && x.shape[0] < sizes.hashVocab) total += 4 * x.size;
  });
  return total;
}
const weights = bytesOfMatrices(params) + bytesOfMatrices(patcher); // as float32
const read = zeros([Math.ceil(weights / 4 / 1024), 1024], { backend });
const row = zeros([1, 1024], { backend });
if (bf16) storeAsBf16(read);

const times: number[] = [];
const floors: number[] = [];
let prefill = 0;
let patches = 0;
for (let round = 0; round < 4; round++) {
  const d = new Decoder(checkpoint);
  prefill = timeOf(() => d.feed([ids.subarray(0, prompt)]));
  const before = d.globalSteps;
  for (let i = prompt, stretch = 0; i + STRETCH <= ids.length; i += STRETCH, stretch++) {
    const time = timeOf(() => {
      for (let j = i; j < i + STRETCH; j++) d.feed([[ids[j]]]);
    });
    if (round > 0) times.push(time / STRETCH);
    if (stretch % 4 === 0) {
      const all = timeOf(() => scope(() => void run('matmul', [row, read], { transposeA: false, transposeB: true })));
      // Two FLOPs of a product with one row are four bytes of a weight.
      floors.push((all * 2 * perByte('matmul')) / weights);
    }
  }
  patches = d.globalSteps - before;
  d.release();
}

// Speculation: greedy bytes with and without drafts. An untrained model soon repeats itself, which is predictable text.
const drafts = [0, 4, 6, 8, 12].map((draftBytes) => {
  let ran = { bytes: 0, globalSteps: 0, byteSteps: 0 };
  let made: number[] = [];
  const each = Array.from({ length: 3 }, () => {
    const options = { maxBytes: 200, temperature: 0, ignoreEos: true, draftBytes };
    const time = timeOf(() => {
      made = [
        ...generate(checkpoint, 'abcabcabc', {
          ...options,
          onDone: (counts) => {
            ran = counts;
          },
        }),
      ];
    });
    return time / made.length;
  });
  return {
    draft_bytes: draftBytes,
    ms_per_byte: short(median(each)),
    global_steps: ran.globalSteps,
    text: made.join(),
  };
});
const megabytes = (perByte('matmul') * (bf16 ? 1 : 2)) / 1e6;
const result = {
  config: name,
  weights: f.weights,
  threads,
  backend: backend.description,
  clock: threads > 1 ? 'wall time' : 'processor time',
  bytes,
  ms_per_byte: short(median(times)),
  best_ms_per_byte: short(Math.min(...times)),
  floor_ms_per_byte: short(median(floors)),
  to_floor: short(median(times) / median(floors)),
  weights_mb_per_byte: short(megabytes),
  mflop_per_byte: short(flops / 1e6),
  kernel_calls_per_byte: Math.round(calls),
  prompt_ms: short(prefill),
  bytes_per_patch: short(n / patches),
  rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
  drafts: drafts.map(({ text: made, ...d }) => ({ ...d, same_text: made === drafts[0].text })),
};
const ms = threads > 1 ? 'ms' : 'ms of CPU';
report('decode', result, [
  `decode ${name}: ${result.ms_per_byte} ${ms} a byte (median of ${times.length}), best ${result.best_ms_per_byte}, ${result.backend}`,
  `reading its ${result.weights_mb_per_byte} MB of weights alone: ${result.floor_ms_per_byte}, ratio ${result.to_floor}`,
  `${result.mflop_per_byte} MFLOP and ${result.kernel_calls_per_byte} kernels a byte; a prompt of ${prompt} bytes ${result.prompt_ms} ${ms}, then ${result.bytes_per_patch} bytes a patch; ${result.rss_mb} MB resident`,
  ...result.drafts.map(
    (d) =>
      `drafts of ${d.draft_bytes}: ${d.ms_per_byte} ${ms} a byte, ${d.global_steps} global steps, ${d.same_text ? 'the same text' : 'ANOTHER TEXT'}`,
  ),
]);
