/**
 * @file A training step of a small byte-level GPT, beside jax-js and tfjs on WebAssembly, and beside the sum of its own kernels, in
 * turns. `pnpm bench byte-gpt [--threads 1] [--steps 5] [--seconds 10] [--only ours] [--json]`; the peers: `pnpm bench peers --install` once.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createWasmBackend, totalFlops, withLedger } from '@blt-ts/tensor';
import { build } from 'esbuild';
import { BYTE_GPT, byteGptData, byteGptParameters, byteGptStep } from './support/byte-gpt.ts';
import { clockFor, flags, inTurns, median, ratio, report, short } from './support/harness.ts';
import { recordStep } from './support/replay.ts';

const PEERS = ['jax-js', 'tfjs-wasm'] as const;
type Peer = { step(): Promise<number>; version: string };
const { threads, only, seconds, steps } = flags({ threads: 1, only: '', seconds: 10, steps: 5 });
const clock = clockFor(threads);
const backend = createWasmBackend({ threads });
await backend.threadsReady();
const step = byteGptStep(backend);
const losses = [step(), step(), step()];
const { ledger } = withLedger(step);
const flops = totalFlops(ledger, ['matmul', 'intervalAttention', 'intervalAttentionBackward']);

const recorded = recordStep(backend, step);
const framework = inTurns({ step, kernels: recorded.replay }, { seconds, clock });

const peers = new Map<string, Peer>();
for (const name of PEERS.filter((p) => only === '' || only === p)) {
  if (!existsSync(resolve('bench/peers/node_modules'))) {
    console.error(`${name} is left out; \`pnpm bench peers --install\` fetches it`);
    continue;
  }
  // Bundled, because tfjs keeps its gradients in modules that Node cannot load as they are.
  const outfile = resolve('node_modules/.bench', `${name}.mjs`);
  await build({
    entryPoints: [`bench/peers/${name}.mjs`],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url), __dirname = '.';",
    },
    logLevel: 'error',
  });
  const { makeStep } = (await import(pathToFileURL(outfile).href)) as {
    makeStep: (config: object, parameters: object, data: object) => Promise<Peer>;
  };
  peers.set(name, await makeStep(BYTE_GPT, byteGptParameters(), byteGptData()));
}
const times: Record<string, number[]> = { ours: [] };
const first: Record<string, number[]> = {};
for (const [name, peer] of peers) {
  times[name] = [];
  // Two steps to compile and to warm up.
  first[name] = [await peer.step(), await peer.step()];
}
for (let round = 0; peers.size > 0 && round < steps; round++) {
  let start = clock();
  step();
  times.ours.push(clock() - start);
  for (const [name, peer] of peers) {
    start = clock();
    first[name].push(await peer.step());
    times[name].push(clock() - start);
  }
}
const bytes = BYTE_GPT.rows * BYTE_GPT.length;
const all = [...framework.step, ...times.ours];
const result = {
  backend: backend.description,
  threads,
  bytes_per_s: Math.round((bytes / median(all)) * 1000),
  step_ms: short(median(all)),
  gflops: short(flops / median(all) / 1e6),
  kernel_calls: recorded.kernels,
  kernels_ms: short(median(framework.kernels)),
  // Of the fastest of each: the difference is small beside the noise of a shared machine.
  framework_overhead: short(Math.min(...framework.step) / Math.min(...framework.kernels) - 1),
  losses: losses.map(short),
  peers: Object.fromEntries(
    [...peers].map(([name, peer]) => [
      name,
      {
        version: peer.version,
        bytes_per_s: short((bytes / median(times[name])) * 1000),
        step_ms: short(median(times[name])),
        speedup: short(ratio(times[name], times.ours)),
        losses: first[name].slice(0, 3).map(short),
      },
    ]),
  ),
};
report('byte-gpt', result, [
  `byte-gpt: ${result.bytes_per_s} bytes/s, ${result.step_ms} ms a step, ${result.gflops} GFLOP/s, ${result.backend}`,
  `its ${recorded.kernels} kernel calls alone: ${result.kernels_ms} ms, so the framework adds ${short(100 * result.framework_overhead)} %; losses ${result.losses.join(', ')}`,
  ...Object.entries(result.peers).map(
    ([name, p]) =>
      `${name} ${p.version}: ${p.bytes_per_s} bytes/s, ${p.step_ms} ms a step, ours is ${p.speedup} times as fast; losses ${p.losses.join(', ')}`,
  ),
]);
process.exit(0);
