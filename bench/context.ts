/**
 * @file Cost with context: documents of 512, 2k, 8k and 32k bytes, the same bytes a step; time of the local models, of the global one
 * and of the optimiser, in turns, and memory of one document a step. `pnpm bench context [--config S] [--bytes 32768] [--steps 3]
 * [--lengths 512,2048] [--recompute] [--json]`. Kernels whose operands have a row a patch count as global.
 */
import { type Backend, createWasmBackend, type KernelName } from '@blt-ts/tensor';
import { CONFIG_FLAGS, chosenConfig, type TrainingBench, trainingBench } from './support/configurations.ts';
import { clockFor, flags, median, report, short, table, usage } from './support/harness.ts';

const f = flags({ ...CONFIG_FLAGS, bytes: 32768, recompute: false, lengths: '512,2048,8192,32768', steps: 3 });
const { name, config } = chosenConfig(f);
const { bytes, recompute } = f;
const lengths = f.lengths.split(',').map(Number);
if (!lengths.every((n) => Number.isInteger(n) && n > 1)) usage(`--lengths needs whole numbers, got ${f.lengths}`);
const OPTIMIZER: ReadonlySet<KernelName> = new Set(['adamw', 'adamwRows', 'adamwCatchUp', 'sumSquares']);
const clock = clockFor(1);

type Parts = { local: number; global: number; optimizer: number; step: number };

/** Milliseconds of the kernels of one step, by part: between its steps a backend costs nothing. */
async function timedStep({ loop }: TrainingBench, backend: Backend, patches: ReadonlySet<number>): Promise<Parts> {
  const parts: Parts = { local: 0, global: 0, optimizer: 0, step: 0 };
  const { run } = backend;
  backend.run = (kernel, outs, ins, attrs) => {
    const start = clock();
    run.call(backend, kernel, outs, ins, attrs);
    const global = [...outs, ...ins].some(({ shape }) => shape.length === 2 && patches.has(shape[0]));
    parts[OPTIMIZER.has(kernel) ? 'optimizer' : global ? 'global' : 'local'] += clock() - start;
  };
  const start = clock();
  await loop.next();
  parts.step = clock() - start;
  backend.run = run;
  return parts;
}

/** Most bytes in tensors during one step. */
async function peak({ loop }: TrainingBench, backend: Backend): Promise<number> {
  let most = 0;
  const { allocate } = backend;
  backend.allocate = (dtype, length) => {
    const storage = allocate.call(backend, dtype, length);
    most = Math.max(most, backend.bytesInUse);
    return storage;
  };
  await loop.next();
  backend.allocate = allocate;
  return most;
}

/** How many patches steps of these documents have. */
function patchCounts(bench: TrainingBench): Set<number> {
  return new Set(Array.from({ length: 16 }, () => bench.patches()));
}

const benches = lengths.map((length) => {
  const backend = createWasmBackend();
  const bench = trainingBench({ ...config, rows: Math.max(1, Math.round(bytes / length)), rowBytes: length }, backend, {
    recompute,
  });
  return { length, backend, bench, patches: patchCounts(bench), times: [] as Parts[] };
});
for (const { bench } of benches) await bench.loop.next();
for (let i = 0; i < f.steps; i++) {
  for (const { bench, backend, patches, times } of benches) times.push(await timedStep(bench, backend, patches));
}
const rows = [];
for (const { length, times } of benches) {
  const backend = createWasmBackend();
  const one = trainingBench({ ...config, rows: 1, rowBytes: length }, backend, { recompute });
  const weights = backend.bytesInUse;
  await one.loop.next();
  const most = await peak(one, backend);
  const part = (key: keyof Parts) => median(times.map((t) => t[key]));
  const perStep = Math.max(length, bytes);
  rows.push({
    document_bytes: length,
    bytes_per_s: Math.round((perStep / part('step')) * 1000),
    local_bytes_per_s: Math.round((perStep / part('local')) * 1000),
    global_bytes_per_s: Math.round((perStep / part('global')) * 1000),
    optimizer_ms: short(part('optimizer')),
    activations_mb: short((most - weights) / 2 ** 20),
    activations_kb_per_byte: short((most - weights) / 1024 / length),
  });
}
const locals = rows.map((row) => row.local_bytes_per_s);
const perByte = rows.map((row) => row.activations_kb_per_byte);
const result = {
  config: name,
  step_bytes: bytes,
  recompute,
  local_spread: short(Math.max(...locals) / Math.min(...locals) - 1),
  memory_spread: short(Math.max(...perByte) / Math.min(...perByte) - 1),
  rows,
};
const keys = Object.keys(rows[0]) as (keyof (typeof rows)[number])[];
report('context', result, [
  `context ${name}, steps of ${bytes} bytes${recompute ? ', activations recomputed' : ''}`,
  ...table([keys, ...rows.map((row) => keys.map((key) => String(row[key])))]),
  `local models: fastest / slowest ${short(1 + result.local_spread)}; memory a byte: largest / smallest ${short(1 + result.memory_spread)}`,
]);
process.exit(0);
