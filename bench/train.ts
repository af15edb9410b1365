/**
 * @file One training step of a latent transformer: bytes per second, beside matrix products alone, the register ceiling and, with
 * `--peer python`, transformers' BLT in PyTorch, in turns. `pnpm bench train [--config S|SL|M|nano|tiny|small|base] [--threads 2] [--seconds 20]
 * [--peer python [--isa avx2]] [--hash-vocab 500002] [--rows 8] [--row-bytes 512] [--recompute]
 * [--deterministic] [--table] [--json]` `--table` says where the time of a step goes, kernel by kernel.
 */
import { createWasmBackend, run, scope, setDefaultBackend, tensor } from '@blt-ts/tensor';
import { SteadyHeap } from '../packages/cli/src/threads/steady-heap.ts';
import { CONFIG_FLAGS, chosenConfig, trainingBench } from './support/configurations.ts';
import { clockFor, flags, median, oneOf, ratio, report, short } from './support/harness.ts';
import { passThreads } from './support/pass-threads.ts';
import { registerCeiling } from './support/register-ceiling.ts';
import { stepTable, tableLines } from './support/step-table.ts';
import { PEER_FLAGS, TorchPeer } from './support/torch-peer.ts';

const f = flags({
  ...CONFIG_FLAGS,
  ...PEER_FLAGS,
  seconds: 15,
  threads: 1,
  recompute: false,
  deterministic: false,
  table: false,
});
const { name, config: c } = chosenConfig(f);
const { seconds, threads, recompute, deterministic } = f;
const clock = clockFor(threads);
// The peer first: its import takes seconds of both cores.
const peer =
  f.peer === '' ? null : await TorchPeer.start(f.peer, { threads, isa: oneOf('isa', f.isa, ['native', 'avx2']) });
const backend = createWasmBackend({ threads, deterministic });
await backend.threadsReady();
setDefaultBackend(backend);
const { loop, flops, config } = trainingBench(c, backend, { recompute });
// As in blt train. The table of kernels knows this thread alone, which then computes all passes.
const lanes = f.table ? 1 : Math.min(backend.threads, Math.ceil(c.rows / (c.passRows ?? c.rows)));
const workers = lanes > 1 ? passThreads(backend, lanes) : null;
if (workers) loop.useWorkers(workers, { model: 'latent transformer', config, recompute });
// As in blt train.
const heap = new SteadyHeap();
const ceiling = registerCeiling(deterministic);

/** Processor time of this thread, ms; NaN before Node 23.9. On a machine that does other work too, it says what a step takes here. */
function ownTime(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => NodeJS.CpuUsage };
  const used = threadCpuUsage?.();
  return used ? (used.user + used.system) / 1000 : Number.NaN;
}

/** Milliseconds for `f`, by the bench's clock. */
function timed(f: () => void): number {
  const start = clock();
  f();
  return clock() - start;
}

/** GFLOP/s of matrix products of the step's most common shape. */
const [m, k, n] = [c.rows * c.rowBytes, c.local, c.hidden[0]];
function productSpeed(): number {
  return scope(() => {
    const a = tensor(new Float32Array(m * k).fill(0.5), [m, k]);
    const b = tensor(new Float32Array(n * k).fill(0.5), [n, k]);
    const rounds = Math.max(1, Math.round(1e10 / (2 * m * n * k)));
    const product = () => scope(() => void run('matmul', [a, b], { transposeA: false, transposeB: true }));
    product();
    const ms = timed(() => {
      for (let i = 0; i < rounds; i++) product();
    });
    return (2 * m * k * n * rounds) / (ms * 1e6);
  });
}

const peerConfig = {
  local: c.local,
  heads: c.localHeads,
  decoder: c.decoderLayers,
  wide: c.global,
  wide_heads: c.globalHeads,
  layers: c.globalLayers,
  ffn: c.hidden,
  hashes: c.hashVocab,
  rows: c.rows,
  row: c.rowBytes,
};
interface PeerSteps {
  readonly times: number[];
  readonly peak_rss_mb: number;
}
const askPeer = (count: number) => peer!.ask({ op: 'train', config: peerConfig, count }) as Promise<PeerSteps>;

await loop.next();
await loop.next();
await peer?.ask({ op: 'train', config: peerConfig, count: 1 });
const ours: number[] = [];
const own: number[] = [];
const theirs: number[] = [];
const products: number[] = [];
const tops: number[] = [];
const peerProducts: number[] = [];
let peakPeer = 0;
const begin = performance.now();
while (ours.length < 3 || performance.now() - begin < seconds * 1000) {
  const [start, ownStart] = [clock(), ownTime()];
  await loop.next();
  heap.step();
  ours.push((clock() - start) / 1000);
  own.push((ownTime() - ownStart) / 1000);
  products.push(productSpeed());
  tops.push((threads * 100 * ceiling.flops) / timed(() => Array.from({ length: 100 }, ceiling.run)) / 1e6);
  if (!peer) continue;
  const steps = await askPeer(1);
  theirs.push(steps.times[0]);
  peakPeer = steps.peak_rss_mb;
  const { ms } = (await peer.ask({ op: 'matmul', m, n, k, form: 'NT', seconds: 0.1 })) as { ms: number };
  peerProducts.push((2 * m * n * k) / ms / 1e6);
}
peer?.stop();
await workers?.end();
const table = f.table ? await stepTable(backend, () => loop.next(), 30) : null;
const bytes = c.rows * c.rowBytes;
const executed = flops();
const { maxRSS } = process.resourceUsage();
const result = {
  config: name,
  hash_vocab: c.hashVocab,
  threads,
  backend: backend.description,
  clock: threads === 1 ? 'processor time' : 'wall time',
  bytes_per_s: Math.round(bytes / median(ours)),
  step_s: short(median(ours)),
  best_step_s: short(Math.min(...ours)),
  own_thread_s: short(median(own)),
  lanes,
  steps: ours.length,
  gflops: short(executed / median(ours) / 1e9),
  matmul_gflops: short(median(products)),
  ceiling_gflops: short(median(tops)),
  to_matmul: short(executed / median(ours) / 1e9 / median(products)),
  to_ceiling: short(executed / median(ours) / 1e9 / median(tops)),
  mflop_per_byte: short(executed / bytes / 1e6),
  rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
  peak_rss_mb: Math.round(maxRSS / 1024),
  ...(table && { table }),
  ...(peer && {
    torch: peer.info,
    torch_bytes_per_s: Math.round(bytes / median(theirs)),
    torch_matmul_gflops: short(median(peerProducts)),
    torch_peak_rss_mb: peakPeer,
    ratio: short(ratio(theirs, ours)),
    memory_ratio: short(maxRSS / 1024 / peakPeer),
  }),
};
const lines = [
  `train ${name}: ${result.bytes_per_s} bytes/s (${result.step_s} s a step, median of ${result.steps}, ${result.clock}), ${result.gflops} GFLOP/s`,
  `same run: matrix products alone ${result.matmul_gflops} GFLOP/s (ratio ${short(result.gflops / result.matmul_gflops)}), register ceiling ${result.ceiling_gflops} GFLOP/s (ratio ${short(result.gflops / result.ceiling_gflops)})`,
  `${lanes} passes at once; this thread's processor time is ${result.own_thread_s} s a step`,
  `${result.mflop_per_byte} MFLOP a byte forward and backward, ${result.rss_mb} MB resident, ${result.peak_rss_mb} MB at most, ${result.backend}`,
];
if (table) lines.push('where the time of a step goes, by the clock:', ...tableLines(table));
if (peer) {
  lines.push(
    `${peer.describe()}: ${result.torch_bytes_per_s} bytes/s, matrix products ${result.torch_matmul_gflops} GFLOP/s, ${peakPeer} MB at most (${peer.info.rss_mb} MB before the model)`,
    `ours / PyTorch: speed ${result.ratio}, memory ${result.memory_ratio}`,
  );
}
report('train', result, lines);
