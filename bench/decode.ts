/**
 * @file Speed of incremental decoding on one thread: `node bench/decode.ts [S|M] [bytes]`. The model is untrained (speed does not
 * depend on the weights), the threshold calibrated to 4.5 bytes a patch on the text that is fed byte by byte.
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
  scoreEntropies,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { createWasmBackend, Random, totalFlops, withLedger } from '@blt-ts/tensor';

const SIZES = {
  S: { local: 128, heads: 4, decoder: 3, global: 256, globalHeads: 4, globalLayers: 4, hash: 8192, entropy: 96 },
  M: { local: 256, heads: 8, decoder: 4, global: 512, globalHeads: 8, globalLayers: 8, hash: 16384, entropy: 128 },
} as const;

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
const backend = createWasmBackend();
const random = new Random(1);
const params = initParameters<BltParams>(bltPlan(config), random, { backend });
const patcher = initParameters<EntropyModelParams>(entropyModelPlan(config.patcher!, VOCAB_SIZE), random, { backend });
const text = Array.from({ length: bytes }, (_, i) => 97 + ((i * 7 + Math.floor(i / 13) * 5) % 26));
const ids = encode(Uint8Array.from(text));
const [entropies] = scoreEntropies(patcher, [ids], config.patcher!, { window: 512, documents: true, backend });
const { threshold } = calibrateThreshold([entropies], 4.5);
const checkpoint = { config: { ...config, patching: { mode: 'entropy' as const, threshold } }, params, patcher };

const prompt = Math.floor(bytes / 2);
for (const round of [1, 2]) {
  const decoder = new Decoder(checkpoint);
  let start = performance.now();
  decoder.feed([ids.subarray(0, prompt)]);
  const prefill = performance.now() - start;
  const before = decoder.globalSteps;
  start = performance.now();
  const cpu = process.cpuUsage();
  for (let i = prompt; i < ids.length; i++) decoder.feed([[ids[i]]]);
  const each = (performance.now() - start) / (ids.length - prompt);
  const { user, system } = process.cpuUsage(cpu);
  const eachCpu = (user + system) / 1000 / (ids.length - prompt);
  const patches = decoder.globalSteps - before;
  console.log(
    `${size} round ${round}: prompt of ${prompt} bytes ${prefill.toFixed(1)} ms; then ${each.toFixed(3)} ms a byte (${eachCpu.toFixed(3)} ms of CPU), ` +
      `${((ids.length - prompt) / patches).toFixed(2)} bytes a patch`,
  );
  decoder.release();
}
const decoder = new Decoder(checkpoint);
decoder.feed([ids.subarray(0, prompt)]);
const { ledger } = withLedger(() => {
  for (let i = prompt; i < ids.length; i++) decoder.feed([[ids[i]]]);
});
const n = ids.length - prompt;
console.log(`executed FLOPs a byte: ${(totalFlops(ledger, ['matmul', 'intervalAttention']) / n / 1e6).toFixed(3)} M`);
const calls = [...ledger.values()].reduce((t, l) => t + l.calls, 0) / n;
console.log(`kernels a byte: ${calls.toFixed(0)}`);

// Speculation: greedy bytes with and without drafts. An untrained model soon repeats itself, which is predictable text.
for (const draftBytes of [0, 4, 6, 8, 12]) {
  let ran = { bytes: 0, globalSteps: 0, byteSteps: 0 };
  const cpu = process.cpuUsage();
  const made = [
    ...generate(checkpoint, 'abcabcabc', {
      maxBytes: 200,
      temperature: 0,
      ignoreEos: true,
      draftBytes,
      onDone: (counts) => {
        ran = counts;
      },
    }),
  ];
  const { user, system } = process.cpuUsage(cpu);
  const sum = made.reduce((a, b, i) => (a * 31 + b * (i + 1)) % 1_000_003, 0);
  console.log(
    `drafts of ${draftBytes}: ${((user + system) / 1000 / made.length).toFixed(3)} ms of CPU a byte, ` +
      `${ran.globalSteps} global steps, text ${sum}`,
  );
}
