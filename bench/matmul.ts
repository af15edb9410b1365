/**
 * @file GFLOP/s of the matrix product at the shapes of training and decoding, through the library's own kernel, beside what the
 * same build does on registers alone (the ceiling). `pnpm bench matmul [--config M] [--threads 2] [--only 'NT|x2048x'] [--seconds 0.4] [--peer
 * python [--isa avx2]] [--deterministic] [--json]`. Forms: N as stored, T transposed; NT is x W^T (forward), NN g W, TN g^T x (gradients).
 */
import { VOCAB_SIZE } from '@blt-ts/blt';
import { createWasmBackend, release, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { CONFIG_FLAGS, chosenConfig } from './support/configurations.ts';
import {
  clockFor,
  flags,
  inTurns,
  median,
  oneOf,
  patternOf,
  ratio,
  report,
  short,
  someOf,
  table,
} from './support/harness.ts';
import { registerCeiling } from './support/register-ceiling.ts';
import { PEER_FLAGS, TorchPeer } from './support/torch-peer.ts';

type Form = 'NN' | 'NT' | 'TN';
type Shape = readonly [m: number, n: number, k: number, form: Form];

/** m rows through a layer from k to n columns: forward, and its two gradients. */
const forms = (layers: readonly (readonly [m: number, n: number, k: number])[]): Shape[] =>
  layers.flatMap(([m, n, k]): Shape[] => [
    [m, n, k, 'NT'],
    [m, k, n, 'NN'],
    [n, k, m, 'TN'],
  ]);

/** Products of the notes on CPU performance, then those of a training step of model S (4,096 bytes, 900 patches). */
const SHAPES: readonly Shape[] = [
  ...([256, 512, 1024] as const).flatMap((n) => (['NN', 'NT', 'TN'] as const).map((f) => [n, n, n, f] as const)),
  ...forms([
    [4096, 256, 256],
    [4096, 1024, 256],
    [1024, 512, 512],
    [4096, 128, 128],
    [4096, 384, 128],
    [4096, 260, 128],
    [900, 256, 256],
    [900, 768, 256],
  ]),
  [4096, 1024, 256, 'NN'],
  [4096, 256, 1024, 'NT'],
  [256, 1024, 4096, 'TN'],
  ...[1, 8].flatMap((rows): Shape[] => [
    [rows, 2048, 512, 'NN'],
    [rows, 2048, 512, 'NT'],
    [rows, 512, 2048, 'NT'],
  ]),
];

const f = flags({
  ...CONFIG_FLAGS,
  ...PEER_FLAGS,
  config: '',
  threads: 1,
  seconds: 0.4,
  only: '.',
  deterministic: false,
});
const { threads, seconds, deterministic } = f;
const only = patternOf(f.only);

/** The shapes above, or those of a configuration's training step, and of its decoding. */
function shapesOf(): readonly Shape[] {
  if (f.config === '') return SHAPES;
  const { config: c } = chosenConfig(f);
  const n = c.rows * c.rowBytes;
  const patches = Math.round(n / 4.5);
  return [
    ...forms([
      [n, c.local, c.local],
      [n, c.hidden[0], c.local],
      [n, VOCAB_SIZE, c.local],
      [patches, c.global, c.global],
      [patches, c.hidden[1], c.global],
    ]),
    [1, c.hidden[1], c.global, 'NT'],
    [1, c.global, c.hidden[1], 'NT'],
  ];
}
const backend = createWasmBackend({ threads, deterministic });
const single = threads > 1 ? createWasmBackend({ deterministic }) : backend;
await backend.threadsReady();
const peer =
  f.peer === '' ? null : await TorchPeer.start(f.peer, { threads, isa: oneOf('isa', f.isa, ['native', 'avx2']) });
const ceiling = registerCeiling(deterministic);
const noise = (size: number) => Float32Array.from({ length: size }, (_, i) => ((i * 40503) % 1024) / 1024 - 0.5);

// The compiler's threads, which use the cores too, are busy in the first second.
const warm = tensor(noise(512 * 512), [512, 512], { backend });
inTurns(
  { warm: () => scope(() => void run('matmul', [warm, warm], { transposeA: false, transposeB: true })) },
  { seconds: 1 },
);
release(warm);

const rows: Record<string, number | string>[] = [];
for (const [m, n, k, form] of shapesOf()) {
  const name = `${m}x${n}x${k}`;
  if (!only.test(`${name} ${form}`)) continue;
  const flops = 2 * m * n * k;
  const made: Tensor[] = [];
  const product = (on: typeof backend) => {
    const a = tensor(noise(m * k), form === 'TN' ? [k, m] : [m, k], { backend: on });
    const b = tensor(noise(n * k), form === 'NT' ? [n, k] : [k, n], { backend: on });
    made.push(a, b);
    const attrs = { transposeA: form === 'TN', transposeB: form === 'NT' };
    return () => scope(() => void run('matmul', [a, b], attrs));
  };
  const ours = product(backend);
  const candidates = { ours, ceiling: ceiling.run, one: threads > 1 ? product(single) : () => {} };
  const times = inTurns(candidates, { seconds, clock: clockFor(threads) });
  // The ceiling of one thread, times the threads.
  const top = threads * ceiling.flops;
  const row: Record<string, number | string> = {
    shape: name,
    form,
    gflops: short(flops / median(times.ours) / 1e6),
    ceiling_gflops: short(top / median(times.ceiling) / 1e6),
    ratio: short(ratio(times.ceiling, times.ours) * (flops / top)),
  };
  if (threads > 1) {
    row.speedup = short(ratio(times.one, times.ours));
    // The quickest slice of each: where others use the machine too, some slices have all its cores to themselves.
    row.speedup_best = short(Math.min(...times.one) / Math.min(...times.ours));
  }
  if (peer) {
    const pairs: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const mine = median(inTurns({ ours }, { seconds: seconds / 4, clock: clockFor(threads) }).ours);
      const { ms } = (await peer.ask({ op: 'matmul', m, n, k, form, seconds: seconds / 4 })) as { ms: number };
      pairs.push(ms / mine);
      theirs.push(flops / ms / 1e6);
    }
    row.torch_gflops = short(median(theirs));
    row.to_torch = short(median(pairs));
  }
  rows.push(row);
  for (const t of made) release(t);
}
peer?.stop();
someOf(rows, only);
const large = rows.filter((row) => !/^[18]x/.test(String(row.shape)));
const least = (form: Form) => Math.min(...large.filter((row) => row.form === form).map((row) => Number(row.ratio)));
const result = {
  backend: backend.description,
  threads,
  gflops: short(median(large.map((row) => Number(row.gflops)))),
  least_ratio_nn: least('NN'),
  least_ratio_nt: least('NT'),
  least_ratio_tn: least('TN'),
  ...(threads > 1 && { speedup: short(median(large.map((row) => Number(row.speedup)))) }),
  ...(peer && { torch: peer.info }),
  rows,
};
const keys = Object.keys(rows[0] ?? {});
report('matmul', result, [
  `matmul, ${backend.description}${peer ? `; ${peer.describe()}` : ''}`,
  ...table([keys, ...rows.map((row) => keys.map((key) => String(row[key])))]),
]);
