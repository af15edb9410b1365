/**
 * @file The rungs of examples/kernels/, from the plain loop to the shipped kernel, timed in turns on one thread. The ceiling of matmul
 * and attention is what registers alone do in the same build, and that of softmax is a copy. Prints the tables of
 * docs/kernel-ladder.md, and draws them into a file. `pnpm bench kernel-ladder [--only matmul] [--seconds 2] [--svg ladder.svg]
 * [--json]`
 */
import { writeFileSync } from 'node:fs';
import { createWasmBackend } from '@blt-ts/tensor';
import { attentionRungs, matmulRungs, softmaxRungs } from '../examples/kernels/rungs.ts';
import { flags, inTurns, machine, patternOf, report, short, someOf } from './support/harness.ts';
import { call, integers, type KernelCall, noise, prepared } from './support/kernel-call.ts';
import { drawLadders, type Ladder, laddersIn, ladderTable } from './support/ladder-plot.ts';
import { registerCeiling } from './support/register-ceiling.ts';

const f = flags({ only: '.', seconds: 2, svg: '' });
const only = patternOf(f.only);
const exact = createWasmBackend({ threads: 1, deterministic: true });
const fused = createWasmBackend({ threads: 1 });
const ceiling = registerCeiling();

/** A kernel with its operands: how much work one call is, its rungs below the shipped kernel, and the shipped kernel. */
interface Climb {
  readonly title: string;
  readonly unit: 'GFLOP/s' | 'GB/s';
  /** FLOPs, or bytes, of one call. */
  readonly work: number;
  readonly rungs: readonly { readonly file: string; readonly adds: string; readonly run: () => void }[];
  readonly shipped: KernelCall;
  readonly source: string;
  /** The last idea of the shipped kernel before fused multiply-add. */
  readonly adds: string;
  readonly ceiling: { readonly run: () => void; readonly work: number };
}

function matmul(): Climb {
  const n = 512;
  const [a, b] = [noise([n, n]), noise([n, n])];
  const c = new Float32Array(n * n);
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  return {
    title: `matmul, ${n} x ${n} x ${n}`,
    unit: 'GFLOP/s',
    work: 2 * n ** 3,
    rungs: matmulRungs.map(({ run, ...rung }) => ({ ...rung, run: () => run(x, y, c, n, n, n) })),
    shipped: call('matmul', [a, b], { transposeA: false, transposeB: false }),
    source: 'wasm/assembly/matmul',
    adds: 'A is packed too, and blocks follow the caches',
    ceiling: { run: ceiling.run, work: ceiling.flops },
  };
}

function softmax(): Climb {
  const [rows, C] = [2048, 260];
  const x = noise([rows, C], 16);
  const y = new Float32Array(rows * C);
  const values = x.data as Float32Array;
  return {
    title: `softmax, ${rows} rows of ${C}`,
    unit: 'GB/s',
    // Each value is read once and written once at least.
    work: 2 * 4 * rows * C,
    rungs: softmaxRungs.map(({ run, ...rung }) => ({ ...rung, run: () => run(values, y, C) })),
    shipped: call('softmax', [x], {}),
    source: 'wasm/assembly/softmax.ts',
    adds: 'rung 2 in WebAssembly, four floats an instruction',
    ceiling: { run: () => y.set(values), work: 2 * 4 * rows * C },
  };
}

function attention(): Climb {
  const [n, D, window] = [1024, 32, 256];
  const [q, k, v] = [noise([n, D], 2), noise([n, D], 2), noise([n, D])];
  const lo = integers(n, (i) => Math.max(0, i - window + 1));
  const hi = integers(n, (i) => i + 1);
  const pairs = [...hi.data].reduce((sum, to, i) => sum + to - lo.data[i], 0);
  const out = new Float32Array(n * D);
  const heads = {
    q: q.data as Float32Array,
    k: k.data as Float32Array,
    v: v.data as Float32Array,
    lo: lo.data as Int32Array,
    hi: hi.data as Int32Array,
    D,
  };
  return {
    title: `attention, ${n} rows, window ${window}, ${D} channels`,
    unit: 'GFLOP/s',
    // A pair that a row may not see is no work, whoever computes it.
    work: 4 * pairs * D,
    rungs: attentionRungs.map(({ run, ...rung }) => ({ ...rung, run: () => run(heads, out) })),
    shipped: call('intervalAttention', [q, k, v, lo, hi], { heads: 1, kvHeads: 1, scale: 1 / Math.sqrt(D), pairs }),
    source: 'wasm/assembly/attention',
    adds: 'WebAssembly: stretches of keys, scores as tiles of a matrix product',
    ceiling: { run: ceiling.run, work: ceiling.flops },
  };
}

/** All rungs of one kernel and its ceiling, in turns. The quickest turn counts: other programs only ever make one slower. */
function measure({ title, unit, work, rungs, shipped, source, adds: last, ceiling: top }: Climb): Ladder {
  const [without, whole] = [prepared(shipped, exact), prepared(shipped, fused)];
  const all = [
    ...rungs,
    { file: source, adds: last, run: without.run },
    { file: source, adds: 'fused multiply-add: the shipped kernel', run: whole.run },
  ];
  const candidates = Object.fromEntries([...all.map(({ run }, i) => [String(i), run]), ['top', top.run]]);
  const times = inTurns(candidates as Record<string, () => void>, { seconds: f.seconds });
  const quickest = (name: number | 'top') => times[name].reduce((least, ms) => Math.min(least, ms));
  const ceilingRate = top.work / quickest('top');
  without.free();
  whole.free();
  return {
    title,
    unit,
    ceiling: short(ceilingRate / 1e6),
    rungs: all.map(({ file, adds }, i) => ({
      file,
      adds,
      rate: short(work / quickest(i) / 1e6),
      step: i === 0 ? null : short(quickest(i - 1) / quickest(i)),
      share: short(work / quickest(i) / ceilingRate),
    })),
  };
}

const chosen = [matmul, softmax, attention].filter(({ name }) => only.test(name));
const ladders = someOf(chosen, only).map((climb) => measure(climb()));
const { cpu, node } = machine();
const tables = ladders.flatMap((ladder) => ['', ...ladderTable(ladder)]);
// Drawn as the tables say it, so that a page which shows them has the same picture.
if (f.svg !== '') writeFileSync(f.svg, drawLadders(laddersIn(`${tables.join('\n')}\n`)));
report('kernel-ladder', { ladders }, [
  `${cpu}, Node ${node}, one thread; ${fused.description}`,
  ...tables,
  ...(f.svg === '' ? [] : ['', `drawn into ${f.svg}`]),
]);
process.exit(0);
