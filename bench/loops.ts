/**
 * @file Resident memory of loops that name no scope, in five engines: the largest in the first half, after a tenth, and in the second.
 * `pnpm bench loops [--loops descent,forward,adamw] [--engines node,node24,chromium,bun,deno] [--backends wasm,reference]
 * [--waits none,await,timer] [--steps 20000] [--seconds 60] [--mb 4] [--unowned 1024] [--json]`. A loop ends at whichever of the two comes
 * first. `--unowned` is how many megabytes may stay unowned in the WebAssembly memory, so that a slow machine reaches the steady state in
 * fewer steps. Bun and Deno come from the npm registry; CHROMIUM=path names another browser.
 */
import { writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { ENGINES, type Engine, residentMegabytes, start } from './support/engines.ts';
import { flags, oneOf, report, short, table } from './support/harness.ts';
import type { PlainLoop } from './support/plain-loop.ts';

const f = flags({
  loops: 'descent,forward,adamw',
  engines: ENGINES.join(','),
  backends: 'wasm,reference',
  waits: 'none,await,timer',
  steps: 20000,
  seconds: 60,
  mb: 4,
  unowned: 1024,
});
const several = <T extends string>(name: string, text: string, choices: readonly T[]): T[] =>
  text.split(',').map((one) => oneOf(name, one, choices));
const engines = several('engines', f.engines, ENGINES);
const loops = several('loops', f.loops, ['descent', 'forward', 'adamw'] as const);
const backends = several('backends', f.backends, ['wasm', 'reference'] as const);
const waits = several('waits', f.waits, ['none', 'await', 'timer'] as const);

const bundle = async (platform: 'node' | 'browser'): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: ['bench/support/plain-loop.ts'],
    bundle: true,
    format: 'esm',
    platform,
    target: 'es2022',
    conditions: ['@blt-ts/source'],
    write: false,
  });
  return outputFiles[0].text;
};
const file = 'node_modules/.bench/plain-loop.mjs';
writeFileSync(file, await bundle('node'));
const texts = { file, page: await bundle('browser') };

/** Milliseconds between two looks at the memory. */
const LOOK = 500;

/** Resident megabytes while a loop runs, and what it said. */
async function watch(engine: Engine, loop: PlainLoop): Promise<{ seen: number[]; said: string }> {
  const running = await start(engine, texts, JSON.stringify(loop));
  const seen: number[] = [];
  let said: string | undefined;
  running.said.then((text) => {
    said = text;
  });
  while (said === undefined) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    const now = await residentMegabytes(running.pid, running.fits);
    if (said === undefined && now > 0) seen.push(now);
  }
  running.stop();
  return { seen, said };
}

const rows = [];
for (const engine of engines)
  for (const backend of backends)
    for (const loop of loops)
      for (const wait of waits) {
        const { seen, said } = await watch(engine, {
          loop,
          backend,
          steps: f.steps,
          seconds: f.seconds,
          wait,
          bytes: f.mb * 2 ** 20,
          unowned: f.unowned * 2 ** 20,
        });
        const half = Math.ceil(seen.length / 2);
        const first = Math.max(...seen.slice(Math.floor(seen.length / 10), half));
        const second = Math.max(...seen.slice(half));
        rows.push({
          engine,
          backend,
          loop,
          wait,
          first_mb: Math.round(first),
          second_mb: Math.round(second),
          growth_percent: short(Math.round((second / first - 1) * 1000) / 10),
          said,
        });
        if (!process.argv.includes('--json')) console.error(Object.values(rows.at(-1)!).join('  '));
      }
report('loops', { steps: f.steps, seconds: f.seconds, mb: f.mb, unowned: f.unowned, rows }, [
  `loops of at most ${f.steps} steps or ${f.seconds} seconds, ${f.mb} MB, ${f.unowned} MB unowned in the WebAssembly memory`,
  ...table([Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map(String))]),
]);
