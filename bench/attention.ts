/**
 * @file GFLOP/s of interval attention, forward and backward, beside the register ceiling of the same build, in turns:
 * executed FLOPs only, 4 a pair and channel forward and 10 backward. `pnpm bench attention [--config M] [--threads 2] [--only 8k] [--seconds 1]
 * [--deterministic] [--json]`. With --config, the shapes of that model's training step
 */
import { createWasmBackend, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { CONFIG_FLAGS, chosenConfig } from './support/configurations.ts';
import { clockFor, flags, inTurns, median, patternOf, ratio, report, short, someOf, table } from './support/harness.ts';
import { noise } from './support/kernel-call.ts';
import { registerCeiling } from './support/register-ceiling.ts';

const WINDOW = 512;
/** Documents of so many rows, how many rows a row sees at most. */
type Case = readonly [name: string, documents: number, length: number, sees: number, heads: number, headDim: number];
const CASES: readonly Case[] = [
  ['bytes, 8 rows of 512, window 512', 8, 512, WINDOW, 4, 32],
  ['bytes, one document of 8k, window 512', 1, 8192, WINDOW, 4, 32],
  ['bytes, one document of 32k, window 512', 1, 32768, WINDOW, 4, 32],
  ['patches, 8 rows of 114', 8, 114, Number.POSITIVE_INFINITY, 4, 64],
  ['patches, one document of 8k bytes: 1820', 1, 1820, Number.POSITIVE_INFINITY, 4, 64],
  ['patches, one document of 32k bytes: 7282', 1, 7282, Number.POSITIVE_INFINITY, 4, 64],
];

const f = flags({ ...CONFIG_FLAGS, config: '', threads: 1, seconds: 1, only: '.', deterministic: false });
const { threads, seconds, deterministic } = f;
const only = patternOf(f.only);

function casesOf(): readonly Case[] {
  if (f.config === '') return CASES;
  const { config: c } = chosenConfig(f);
  const patches = Math.round(c.rowBytes / 4.5);
  return [
    [`bytes, ${c.rows} of ${c.rowBytes}`, c.rows, c.rowBytes, WINDOW, c.localHeads, c.local / c.localHeads],
    [
      `patches, ${c.rows} of ${patches}`,
      c.rows,
      patches,
      Number.POSITIVE_INFINITY,
      c.globalHeads,
      c.global / c.globalHeads,
    ],
  ];
}
const backend = createWasmBackend({ threads, deterministic });
await backend.threadsReady();
const ceiling = registerCeiling(deterministic);
const top = threads * ceiling.flops;
const cases = casesOf().filter(([name]) => only.test(name));
const rows = someOf(cases, only).map(([name, documents, length, sees, heads, headDim]) =>
  scope(() => {
    const n = documents * length;
    const width = heads * headDim;
    const hi = Int32Array.from({ length: n }, (_, i) => i + 1);
    const lo = hi.map((end) => {
      const start = Math.floor((end - 1) / length) * length;
      return Math.max(start, Math.min(end, end - Math.min(sees, n)));
    });
    const pairs = hi.reduce((sum, end, i) => sum + end - lo[i], 0);
    const input = () => tensor(noise([n, width], 4).data, [n, width], { backend });
    const ins: Tensor[] = [
      input(),
      input(),
      input(),
      tensor(lo, undefined, { backend }),
      tensor(hi, undefined, { backend }),
    ];
    const attrs = { heads, kvHeads: heads, scale: headDim ** -0.5, pairs };
    const [out, lse] = run('intervalAttention', ins, attrs);
    const all = [...ins, out, lse, input()];
    const times = inTurns(
      {
        forward: () => scope(() => void run('intervalAttention', ins, attrs)),
        backward: () => scope(() => void run('intervalAttentionBackward', all, attrs)),
        ceiling: ceiling.run,
      },
      { seconds, clock: clockFor(threads) },
    );
    const [forward, backward] = [4 * pairs * width, 10 * pairs * width];
    return {
      case: name,
      forward_gflops: short(forward / median(times.forward) / 1e6),
      forward_ratio: short(ratio(times.ceiling, times.forward) * (forward / top)),
      backward_gflops: short(backward / median(times.backward) / 1e6),
      backward_ratio: short(ratio(times.ceiling, times.backward) * (backward / top)),
      ceiling_gflops: short(top / median(times.ceiling) / 1e6),
      forward_ms: short(median(times.forward)),
      backward_ms: short(median(times.backward)),
    };
  }),
);
const keys = Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[number])[];
const middle = (key: 'forward_gflops' | 'backward_gflops' | 'forward_ratio' | 'backward_ratio') =>
  short(median(rows.map((row) => row[key])));
const result = {
  backend: backend.description,
  threads,
  forward_gflops: middle('forward_gflops'),
  forward_ratio: middle('forward_ratio'),
  backward_gflops: middle('backward_gflops'),
  backward_ratio: middle('backward_ratio'),
  rows,
};
report('attention', result, [
  `attention, ${backend.description}`,
  ...table([keys, ...rows.map((row) => keys.map((key) => String(row[key])))]),
]);
