/**
 * @file A full-size 1B checkpoint with random weights: `pnpm bench full-size DIR [bytes] [stored|f32] [--json]` writes it (BF16, 9.3 GB, in
 * shards) unless it is there, then decodes with the hash tables on disk and the other weights spread over memories, as BF16 or as
 * float32. Prints resident memory and ms a byte, also of CPU time.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  calibrateThreshold,
  checkpointPlan,
  configFromShapes,
  encode,
  generate,
  type StoredTensor,
  scoreEntropies,
  type WeightFormat,
} from '@blt-ts/blt';
import { createWasmBackend, f32ToBf16, Random, sizeOf } from '@blt-ts/tensor';
import { writeModelFolder } from '../packages/cli/src/files/write-model-folder.ts';
import { loadLargeModel } from '../packages/cli/src/run/large-model.ts';
import { flags, oneOf, report, short } from './support/harness.ts';

const [folder = '/tmp/blt-1b-synthetic', bytes = '32', form = 'stored'] = flags({}, 3).words;
const weights: WeightFormat = oneOf('weights', form, ['stored', 'f32']);
const shapes = 'test/fixtures/hf_keys_shapes_blt_1b.json';
const memory = () => `${(process.memoryUsage.rss() / 1e9).toFixed(2)} GB resident`;

if (!existsSync(folder)) {
  const list = JSON.parse(readFileSync(shapes, 'utf8')) as Record<string, number[]>;
  const config = configFromShapes(new Map(Object.entries(list).map(([name, shape]) => [name, { shape }])));
  // A few million normal numbers, read from another place for every tensor: random enough, and as fast as the disk.
  const normal = new Float32Array(2 ** 22);
  new Random(1).fillTruncatedNormal(normal, { std: 1 });
  const block = (std: number) => new Uint8Array(f32ToBf16(normal.map((x) => x * std)).buffer);
  const blocks = new Map<number, Uint8Array>();
  const stored = new Map(
    checkpointPlan(config).map(({ name, shape, std }, seed): [string, StoredTensor] => {
      const size = 2 * sizeOf(shape);
      if (std !== null && !blocks.has(std)) blocks.set(std, block(std));
      const source = std === null ? new Uint8Array(f32ToBf16(new Float32Array(4096).fill(1)).buffer) : blocks.get(std)!;
      const shift = std === null ? 0 : 2 * ((seed * 7919) % 100_003);
      return [
        name,
        {
          dtype: 'BF16',
          shape,
          bytes: size,
          read(begin = 0, end = size) {
            const out = new Uint8Array(end - begin);
            for (let at = begin; at < end; ) {
              const from = (at + shift) % source.length;
              const n = Math.min(source.length - from, end - at);
              out.set(source.subarray(from, from + n), at - begin);
              at += n;
            }
            return out;
          },
        },
      ];
    }),
  );
  const start = performance.now();
  const { files, bytes: written } = await writeModelFolder(folder, config, stored, { shardBytes: 4e9 });
  console.log(
    `wrote ${folder}: ${(written / 1e9).toFixed(2)} GB in ${files.length} files, ${((performance.now() - start) / 1000).toFixed(0)} s, ${memory()}`,
  );
}

let start = performance.now();
const backend = createWasmBackend();
const { checkpoint, hashRows, memories } = await loadLargeModel(folder, backend, {
  weights,
});
const loadSeconds = (performance.now() - start) / 1000;
const prompt = 'It was the best of times, it was the worst of times';
// Random weights are uncertain everywhere; the threshold is put where it cuts the prompt into patches of a usual size.
const { config, patcher } = checkpoint;
const [entropies] = scoreEntropies(patcher!, [encode(prompt)], config.patcher!, {
  window: null,
  documents: false,
  backend,
});
const { threshold } = calibrateThreshold([entropies], 4.5);
const model = { ...checkpoint, config: { ...config, patching: { mode: 'entropy' as const, threshold } } };
start = performance.now();
let first = 0;
let made = 0;
let ran = { globalSteps: 0, byteSteps: 0 };
let cpu = process.cpuUsage();
for (const byte of generate(model, prompt, {
  maxBytes: Number(bytes),
  temperature: 0,
  ignoreEos: true,
  hashRows,
  onDone: (counts) => {
    ran = counts;
  },
})) {
  if (made++ === 0) {
    first = performance.now() - start;
    cpu = process.cpuUsage();
  }
  void byte;
}
const rest = performance.now() - start - first;
const { user, system } = process.cpuUsage(cpu);
const gb = (bytes: number) => short(bytes / 1e9);
const result = {
  weights,
  memories,
  load_s: short(loadSeconds),
  prompt_bytes: prompt.length,
  prompt_ms: short(first),
  ms_per_byte: short(rest / (made - 1)),
  cpu_ms_per_byte: short((user + system) / 1000 / (made - 1)),
  global_steps: ran.globalSteps,
  byte_steps: ran.byteSteps,
  rss_gb: gb(process.memoryUsage.rss()),
  peak_rss_gb: gb(process.resourceUsage().maxRSS * 1024),
};
report('full-size', result, [
  `loaded in ${result.load_s} s into ${memories} memories`,
  `prompt of ${prompt.length} bytes ${result.prompt_ms} ms, then ${result.ms_per_byte} ms a byte (${result.cpu_ms_per_byte} of CPU); ${ran.globalSteps} global steps for ${ran.byteSteps} bytes`,
  `${result.rss_gb} GB resident, ${result.peak_rss_gb} GB at most`,
]);
