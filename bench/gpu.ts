/**
 * @file The GPU backend: `pnpm bench gpu steps|gemm [--mode webgpu|webasm] [--steps 1000] [--json]`. `steps` trains a nano model
 * and watches loss, time, compiled kernels, buffers and memory; `gemm` times matrix products. A software GPU:
 * EGL_PLATFORM=surfaceless.
 */
import { createRequire } from 'node:module';
import { planRun, Session } from '@blt-ts/blt';
import { run, scope, tensor } from '@blt-ts/tensor';
import { createGpuBackend, type GpuMode } from '../packages/tensor/src/gpu/index.ts';

const flag = (name: string, fallback: string): string => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const json = process.argv.includes('--json');
const say = (line: object) => console.log(json ? JSON.stringify(line) : Object.values(line).join('\t'));

// The bundle stands in node_modules/.bench; the package webgpu belongs to packages/tensor.
const fromTensor = createRequire(new URL('../../packages/tensor/package.json', import.meta.url));
const dawn = flag('dawn', '');
const backend = await createGpuBackend({
  mode: flag('mode', 'webgpu') as GpuMode,
  loadWebgpu: async () => (dawn ? createRequire(import.meta.url)(dawn) : fromTensor('webgpu')),
});
console.error(backend.description);

async function steps(): Promise<void> {
  const count = Number(flag('steps', '1000'));
  const every = Math.max(1, Math.floor(count / 10));
  const text = Array.from({ length: 400 }, (_, i) => `line ${i}: ${(i * 7919) % 1000} of ${(i * 31) % 97} things.\n`);
  const bytes = new TextEncoder().encode(text.join(''));
  const document = Int32Array.of(1, ...[...bytes].map((b) => b + 4), 2);
  const plan = planRun(
    { size: 'nano', patchingMode: 'space', steps: count, batchRows: 1, rowBytes: Number(flag('row-bytes', '96')) },
    bytes.length,
  );
  const session = new Session(plan, { train: [document], heldOut: [] }, backend);
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

async function gemm(): Promise<void> {
  say({ size: 'M = N = K', form: 'form', rate: 'GFLOP/s' });
  for (const size of flag('sizes', '512,1024').split(',').map(Number)) {
    const values = Float32Array.from({ length: size * size }, (_, i) => ((i * 0.618034) % 1) - 0.5);
    const a = tensor(values, [size, size], { backend });
    const b = tensor(values, [size, size], { backend });
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
    ] as const) {
      const time = async (rounds: number) => {
        const start = performance.now();
        const { done } = scope(() => {
          let y = a;
          for (let i = 0; i < rounds; i++) [y] = run('matmul', [a, b], { transposeA, transposeB });
          return { done: run('slice', [y], { begin: [0, 0], end: [1, 1] })[0].read() };
        });
        await done;
        return (performance.now() - start) / 1000;
      };
      await time(1);
      const one = await time(1);
      const rounds = Math.max(1, Math.min(200, Math.round(1 / one)));
      const seconds = (await time(rounds)) / rounds;
      say({
        size,
        form: `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}`,
        gflops: ((2 * size ** 3) / seconds / 1e9).toFixed(1),
      });
    }
  }
}

await (process.argv[2] === 'gemm' ? gemm() : steps());
await backend.destroy();
