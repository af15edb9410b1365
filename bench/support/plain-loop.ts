/**
 * @file Loops that name no scope, as somebody writes them who has read nothing of memory. The same file runs in Node, Bun, Deno and a page;
 * bench/loops.ts starts it and watches the memory of its process.
 */
import { grad, mul, sub, sum } from '@blt-ts/autograd';
import { createReferenceBackend, createWasmBackend, type Tensor, tensor } from '@blt-ts/tensor';
import { AdamW } from '../../packages/blt/src/optim/index.ts';

/** One loop: what it does, where, how often, and whether it waits between two steps. */
export interface PlainLoop {
  readonly loop: 'descent' | 'forward' | 'adamw';
  readonly backend: 'wasm' | 'reference';
  readonly steps: number;
  /** It ends after so many seconds if that is sooner. */
  readonly seconds: number;
  /** Never; for a promise, which lets no finalizer run; for a timer. */
  readonly wait: 'none' | 'await' | 'timer';
  /** Bytes of the parameter. */
  readonly bytes: number;
  /** Bytes that may stay unowned in the WebAssembly memory. */
  readonly unowned: number;
}

const f = (x: Tensor): Tensor => sum(mul(x, x));

/** One step of each loop on a parameter. */
function stepOf(loop: PlainLoop['loop'], start: Tensor): () => void {
  let w = start;
  if (loop === 'descent') {
    return () => {
      w = sub(w, mul(grad(f)(w), 0.01));
    };
  }
  if (loop === 'forward') return () => void f(w);
  const optimizer = new AdamW({ w });
  const gradients = grad(({ w }: { w: Tensor }) => f(w));
  return () => void optimizer.step(gradients({ w }), 1e-3);
}

/** Runs a loop. @returns the steps it made, and its seconds */
async function runLoop({
  loop,
  backend: name,
  steps,
  seconds,
  wait,
  bytes,
  unowned,
}: PlainLoop): Promise<[number, number]> {
  const backend = name === 'wasm' ? createWasmBackend({ threads: 1, unownedBytes: unowned }) : createReferenceBackend();
  const step = stepOf(loop, tensor(new Float32Array(bytes / 4).fill(0.5), undefined, { backend }));
  const begin = performance.now();
  const elapsed = () => (performance.now() - begin) / 1000;
  let done = 0;
  for (; done < steps && elapsed() < seconds; done++) {
    step();
    if (wait === 'await') await Promise.resolve();
    if (wait === 'timer') await new Promise((resolve) => setTimeout(resolve));
  }
  return [done, elapsed()];
}

/** The line that a process or page says to the benchmark: its steps and seconds, or why it ended. */
const spoken = (job: string): Promise<string> =>
  runLoop(JSON.parse(job) as PlainLoop).then(
    ([steps, seconds]) => `${steps} steps in ${seconds.toFixed(1)} s`,
    (error: Error) => `stopped: ${error.message}`,
  );

if (typeof document === 'undefined') console.log(await spoken(process.argv[2]));
else {
  const said = await spoken(decodeURIComponent(location.search.slice(1)));
  await fetch('/done', { method: 'POST', body: said });
}
