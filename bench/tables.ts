/**
 * @file The cost of large hash tables: the same step with 6 x 500,002 rows (4.6 GB with the optimiser's state at width 128) and with
 * 6 x 8,192, in turns. `pnpm bench tables [--config S] [--hash-vocab 500002] [--threads 1] [--steps 8] [--json]`
 */
import { createWasmBackend } from '@blt-ts/tensor';
import { CONFIG_FLAGS, chosenConfig, trainingBench } from './support/configurations.ts';
import { clockFor, flags, median, ratio, report, short } from './support/harness.ts';

const f = flags({ ...CONFIG_FLAGS, 'hash-vocab': 500_002, threads: 1, steps: 8 });
const { name, config } = chosenConfig(f);
const { threads, 'hash-vocab': vocab } = f;
const clock = clockFor(threads);
const small = trainingBench({ ...config, hashVocab: 8192 }, createWasmBackend({ threads })).loop;
const large = trainingBench({ ...config, hashVocab: vocab }, createWasmBackend({ threads })).loop;
const times = { small: [] as number[], large: [] as number[] };
// All 16 batches once: from then on rows lag behind and are caught up.
for (let i = 0; i < 18; i++) {
  await small.next();
  await large.next();
}
for (let i = 0; i < f.steps; i++) {
  for (const [key, loop] of [
    ['small', small],
    ['large', large],
  ] as const) {
    const start = clock();
    await loop.next();
    times[key].push(clock() - start);
  }
}
const slower = ratio(times.large, times.small) - 1;
const result = {
  config: name,
  threads,
  hash_vocab: vocab,
  table_gb: short((6 * vocab * config.local * 4 * 3) / 1e9),
  step_ms: short(median(times.large)),
  step_ms_8192: short(median(times.small)),
  slower: short(slower),
  slower_fastest: short(Math.min(...times.large) / Math.min(...times.small) - 1),
  rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
};
report('tables', result, [
  `tables ${name}: 6 x ${vocab} rows ${result.step_ms} ms a step, 6 x 8192 rows ${result.step_ms_8192} ms: ${short(100 * slower)} % slower (fastest of each: ${short(100 * result.slower_fastest)} %)`,
  `${result.table_gb} GB of table with its moments, ${result.rss_mb} MB resident`,
]);
process.exit(0);
