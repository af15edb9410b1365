/**
 * @file Resident memory over thousands of steps: at step 20 and at the end. `pnpm bench memory [--config nano] [--steps 2000]
 * [--threads 1] [--json]`. Rows differ from step to step; V8's heap is kept steady as in `blt train`.
 */
import { createWasmBackend } from '@blt-ts/tensor';
import { SteadyHeap } from '../packages/cli/src/threads/steady-heap.ts';
import { CONFIG_FLAGS, chosenConfig, trainingBench } from './support/configurations.ts';
import { flags, report, short, usage } from './support/harness.ts';

const f = flags({ ...CONFIG_FLAGS, config: 'nano', steps: 2000, threads: 1 });
const { name, config } = chosenConfig(f);
const { steps, threads } = f;
if (steps <= 20) usage(`--steps ${steps}: growth is counted from step 20; give more than 20`);
const backend = createWasmBackend({ threads });
const { loop } = trainingBench(config, backend);
const megabytes = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10;
const seen: { step: number; rss_mb: number; js_mb: number; tensors_mb: number }[] = [];
const heap = new SteadyHeap();
const begin = performance.now();
for (let step = 1; step <= steps; step++) {
  await loop.next();
  heap.step();
  if (step !== 20 && step !== steps && step % Math.ceil(steps / 10) !== 0) continue;
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  seen.push({
    step,
    rss_mb: megabytes(rss),
    js_mb: megabytes(heapUsed + external + arrayBuffers),
    tensors_mb: megabytes(backend.bytesInUse),
  });
}
const [at20, end] = [seen.find(({ step }) => step === 20)!, seen.at(-1)!];
const result = {
  config: name,
  threads,
  backend: backend.description,
  steps,
  bytes_per_s: short((steps * config.rows * config.rowBytes) / ((performance.now() - begin) / 1000)),
  rss_mb_20: at20.rss_mb,
  rss_mb: end.rss_mb,
  growth: short(end.rss_mb / at20.rss_mb - 1),
  peak_rss_mb: megabytes(process.resourceUsage().maxRSS * 1024),
  seen,
};
report('memory', result, [
  `memory ${name}, ${backend.description}`,
  ...seen.map(
    (s) => `step ${s.step}: ${s.rss_mb} MB resident, ${s.js_mb} MB of JavaScript, ${s.tensors_mb} MB in tensors`,
  ),
  `from step 20 to ${steps}: ${short(100 * result.growth)} %`,
]);
