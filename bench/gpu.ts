/**
 * @file The GPU backend beside the CPU of the same machine and PyTorch there: `pnpm bench gpu [matmul] [train] [decode] [--configs S,M]
 * [--sizes 512,1024,2048,4096] [--seconds 10] [--threads N] [--peer python] [--mode webgpu|webasm] [--dawn PATH] [--json]`.
 * Without a name it measures all three. `pnpm bench gpu steps [--steps 1000] [--row-bytes 96]` trains a nano model for long and
 * watches loss, compiled kernels, buffers and memory. A software GPU, for trying it out: EGL_PLATFORM=surfaceless.
 *
 * Times are by the clock, medians; GPU and CPU take turns within a measurement. PyTorch computes on CUDA where it has it.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import {
  type BltConfig,
  type BltParams,
  bltPlan,
  calibrateThreshold,
  Decoder,
  type EntropyModelParams,
  encode,
  entropyModelPlan,
  initParameters,
  planRun,
  Session,
  scoreEntropiesAsync,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { availableThreads, type Backend, createWasmBackend, Random, run, scope, tensor } from '@blt-ts/tensor';
import { createGpuBackend, type GpuBackend, type GpuMode } from '../packages/tensor/src/gpu/index.ts';
import { CONFIGS, modelConfig, trainingBench } from './support/configurations.ts';
import { flags, median, oneOf, report, short, table } from './support/harness.ts';

// The bundle stands in node_modules/.bench; the package webgpu belongs to packages/tensor.
const fromTensor = () => createRequire(new URL('../../packages/tensor/package.json', import.meta.url))('webgpu');
const f = flags(
  {
    mode: 'webgpu',
    dawn: '',
    seconds: 10,
    threads: availableThreads(),
    sizes: '512,1024,2048,4096',
    configs: 'S,M',
    peer: '',
    steps: 1000,
    'row-bytes': 96,
  },
  4,
);
const { seconds, threads } = f;
const gpu = await createGpuBackend({
  mode: f.mode as GpuMode,
  loadWebgpu: async () => (f.dawn ? createRequire(import.meta.url)(f.dawn) : fromTensor()),
});
const progress = (text: string) => console.error(text);
progress(gpu.description);

/** Milliseconds a call of each candidate takes, in turns: one call to warm up, then three rounds at least. */
async function turns<K extends string>(candidates: Record<K, () => Promise<unknown>>): Promise<Record<K, number>> {
  const names = Object.keys(candidates) as K[];
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, number[]>;
  for (const name of names) await candidates[name]();
  const begin = performance.now();
  while (times[names[0]].length < 3 || performance.now() - begin < seconds * 1000) {
    for (const name of names) {
      const start = performance.now();
      await candidates[name]();
      times[name].push(performance.now() - start);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<K, number>;
}

/** One measurement: how fast each is, in `unit`. */
interface Line {
  readonly what: string;
  readonly unit: string;
  readonly gpu: number;
  readonly cpu: number;
  readonly torch: number | null;
  /** Kernels that the GPU runs for one step, or one byte. */
  readonly calls: number;
}

async function callsOf(f: () => Promise<unknown>): Promise<number> {
  await gpu.settled();
  const before = gpu.launches;
  await f();
  await gpu.settled();
  return gpu.launches - before;
}

// ----- what is measured -----------------------------------------------------------------------------------------------

async function matmul(cpu: Backend): Promise<Line[]> {
  const lines: Line[] = [];
  for (const size of f.sizes.split(',').map(Number)) {
    for (const form of ['nn', 'nt', 'tn'] as const) {
      progress(`matmul ${size} ${form}`);
      const attrs = { transposeA: form === 'tn', transposeB: form === 'nt' };
      // Enough products behind one another that handing them out and reading the last costs nothing.
      const rounds = Math.max(1, Math.min(50, Math.round(2e10 / size ** 3)));
      const products = (backend: Backend) => {
        const values = Float32Array.from({ length: size * size }, (_, i) => ((i * 0.618034) % 1) - 0.5);
        const [a, b] = [0, 1].map(() => tensor(values, [size, size], { backend }));
        return async () => {
          const { corner } = scope(() => {
            let y = a;
            for (let i = 0; i < rounds; i++) y = scope(() => run('matmul', [a, b], attrs))[0];
            return { corner: run('slice', [y], { begin: [0, 0], end: [1, 1] })[0].read() };
          });
          await corner;
        };
      };
      const ms = await turns({ gpu: products(gpu), cpu: products(cpu) });
      const rate = (t: number) => (2 * size ** 3 * rounds) / t / 1e6;
      lines.push({
        what: `matmul ${size} ${form}`,
        unit: 'GFLOP/s',
        gpu: rate(ms.gpu),
        cpu: rate(ms.cpu),
        torch: null,
        calls: 1,
      });
    }
  }
  return lines;
}

const configNames = f.configs.split(',').map((name) => oneOf('configs', name, Object.keys(CONFIGS)));

async function train(cpu: Backend): Promise<Line[]> {
  const lines: Line[] = [];
  for (const name of configNames) {
    progress(`train ${name}`);
    const c = CONFIGS[name];
    const [there, here] = [trainingBench(c, gpu), trainingBench(c, cpu)];
    // A step ends when its loss has been read: the update behind it is waited for by the next.
    const ms = await turns({ gpu: () => there.loop.next(), cpu: () => here.loop.next() });
    const calls = await callsOf(() => there.loop.next());
    const rate = (t: number) => (c.rows * c.rowBytes * 1000) / t;
    lines.push({ what: `train ${name}`, unit: 'bytes/s', gpu: rate(ms.gpu), cpu: rate(ms.cpu), torch: null, calls });
  }
  return lines;
}

/** A model with an entropy model, patches of 4.5 bytes on `ids`. */
async function checkpointOn(backend: Backend, name: string, ids: Int32Array) {
  const patcherConfig = transformerConfig({ hiddenSize: 96, numHiddenLayers: 2, numAttentionHeads: 3 });
  const patching = { mode: 'entropy' as const, threshold: 0 };
  const config: BltConfig = { ...modelConfig(CONFIGS[name]), patcher: patcherConfig, patching };
  const random = new Random(1);
  const params = initParameters<BltParams>(bltPlan(config), random, { backend });
  const patcher = initParameters<EntropyModelParams>(entropyModelPlan(patcherConfig, VOCAB_SIZE), random, { backend });
  const options = { window: 512, documents: true, backend };
  const [entropies] = await scoreEntropiesAsync(patcher, [ids], patcherConfig, options);
  const { threshold } = calibrateThreshold([entropies], 4.5);
  return { config: { ...config, patching: { ...patching, threshold } }, params, patcher };
}

async function decode(cpu: Backend): Promise<Line[]> {
  const lines: Line[] = [];
  const bytes = 32;
  const text = Array.from({ length: 1000 }, (_, i) => 97 + ((i * 7 + Math.floor(i / 13) * 5) % 26));
  const ids = encode(Uint8Array.from(text));
  for (const name of configNames) {
    for (const texts of [1, 32]) {
      progress(`decode ${name}, ${texts} texts`);
      const onward = async (backend: Backend) => {
        const decoder = new Decoder(await checkpointOn(backend, name, ids), { sequences: texts });
        const prompt = ids.subarray(0, 256);
        await decoder.feedAsync(Array.from({ length: texts }, () => prompt));
        let at = prompt.length;
        return async () => {
          for (let i = 0; i < bytes; i++, at++) {
            await decoder.feedAsync(Array.from({ length: texts }, () => ids.subarray(at % 1000, (at % 1000) + 1)));
          }
        };
      };
      const there = await onward(gpu);
      const ms = await turns({ gpu: there, cpu: await onward(cpu) });
      const calls = Math.round((await callsOf(there)) / bytes);
      const rate = (t: number) => (texts * bytes * 1000) / t;
      const what = `decode ${name}, ${texts} text${texts > 1 ? 's' : ''}`;
      lines.push({ what, unit: 'bytes/s', gpu: rate(ms.gpu), cpu: rate(ms.cpu), torch: null, calls });
    }
  }
  return lines;
}

// ----- PyTorch --------------------------------------------------------------------------------------------------------

interface TorchAnswer {
  readonly torch: string;
  readonly device: string;
  /** By what was measured, in the units of the lines. */
  readonly rates: Record<string, number>;
}

/** The same products and training steps by bench/torch_gpu.py. */
function askTorch(python: string, lines: readonly Line[]): TorchAnswer {
  const wanted = lines.map(({ what }) => what).filter((what) => !what.startsWith('decode'));
  progress(`PyTorch: ${wanted.length} measurements`);
  const args = ['bench/torch_gpu.py', '--seconds', String(seconds), ...wanted];
  const { stdout, status } = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error(`${python} bench/torch_gpu.py ended with ${status}; its message is above`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as TorchAnswer;
}

async function compare(names: readonly string[]): Promise<void> {
  const cpu = createWasmBackend({ threads });
  await cpu.threadsReady();
  const suites = { matmul, train, decode };
  let lines: Line[] = [];
  for (const [name, suite] of Object.entries(suites)) if (names.includes(name)) lines.push(...(await suite(cpu)));
  const peer = f.peer === '' ? null : askTorch(f.peer, lines);
  if (peer) lines = lines.map((line) => ({ ...line, torch: peer.rates[line.what] ?? null }));
  const rounded = lines.map((line) => ({
    ...line,
    gpu: short(line.gpu),
    cpu: short(line.cpu),
    torch: line.torch === null ? null : short(line.torch),
    gpu_per_cpu: short(line.gpu / line.cpu),
    gpu_per_torch: line.torch === null ? null : short(line.gpu / line.torch),
  }));
  const cell = (x: number | null) => (x === null ? '-' : String(x));
  const head = ['', 'unit', 'GPU', 'CPU', 'GPU / CPU', 'PyTorch', 'GPU / PyTorch', 'kernels'];
  const rows = rounded.map((l) =>
    [l.unit, l.gpu, l.cpu, l.gpu_per_cpu, l.torch, l.gpu_per_torch, l.calls].map((x) =>
      typeof x === 'string' ? x : cell(x),
    ),
  );
  const torch = peer && { version: peer.torch, device: peer.device };
  report(
    'gpu',
    { gpu: gpu.description, software: gpu.software, cpu_backend: cpu.description, threads, torch, lines: rounded },
    [
      ...table([head, ...rows.map((row, i) => [rounded[i].what, ...row])]),
      `GPU: ${gpu.description}${gpu.software ? ' (SOFTWARE: these are no figures of a GPU)' : ''}; CPU: ${cpu.description}`,
      ...(torch ? [`PyTorch ${torch.version} on ${torch.device}`] : []),
    ],
  );
}

// ----- a long run -----------------------------------------------------------------------------------------------------

async function steps(backend: GpuBackend): Promise<void> {
  const count = f.steps;
  const every = Math.max(1, Math.floor(count / 10));
  const text = Array.from({ length: 400 }, (_, i) => `line ${i}: ${(i * 7919) % 1000} of ${(i * 31) % 97} things.\n`);
  const bytes = new TextEncoder().encode(text.join(''));
  const document = Int32Array.of(1, ...[...bytes].map((b) => b + 4), 2);
  const rowBytes = f['row-bytes'];
  const plan = planRun({ size: 'nano', patchingMode: 'space', steps: count, batchRows: 1, rowBytes }, bytes.length);
  const session = new Session(plan, { train: [document], heldOut: [] }, backend);
  const say = (line: object) =>
    console.log(process.argv.includes('--json') ? JSON.stringify(line) : Object.values(line).join('\t'));
  say({ s: 'step', l: 'loss', t: 'ms/step', c: 'kernels', b: 'buffers', d: 'MB on device', r: 'rss MB', h: 'heap MB' });
  let since = performance.now();
  let last = 0;
  for (let done = 0; ; ) {
    const event = await session.next();
    if (event.kind === 'done') break;
    if (event.kind !== 'step') continue;
    done++;
    if (done !== 10 && done % every !== 0) continue;
    await backend.settled();
    const { rss, heapUsed, external } = process.memoryUsage();
    say({
      step: done,
      loss: event.report.lossNats.toFixed(4),
      ms: ((performance.now() - since) / (done - last)).toFixed(0),
      compiles: backend.compiles,
      buffers: backend.buffers,
      device: (backend.bytesInUse / 2 ** 20).toFixed(1),
      rss: Math.round(rss / 2 ** 20),
      heap: Math.round((heapUsed + external) / 2 ** 20),
    });
    since = performance.now();
    last = done;
  }
}

const known = ['matmul', 'train', 'decode'];
const asked = [...known, 'steps'].filter((name) => f.words.includes(name));
if (asked.includes('steps')) await steps(gpu);
else await compare(asked.length > 0 ? asked : known);
await gpu.destroy();
process.exit(0);
