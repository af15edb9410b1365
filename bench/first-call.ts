/**
 * @file Processor time of the first `createWasmBackend()` and of the first operation, each in a process of its own, the engines in turns.
 * `pnpm bench first-call [--engines node,node24,bun,deno] [--runs 9] [--json]`. The kernels are unpacked, compiled and given their memory
 * in the first of the two. Bun and Deno come from the npm registry.
 */
import { build } from 'esbuild';
import { start } from './support/engines.ts';
import { flags, median, oneOf, report, short, table } from './support/harness.ts';

const ENGINES = ['node', 'node24', 'bun', 'deno'] as const;
const f = flags({ engines: ENGINES.join(','), runs: 9 });
const engines = f.engines.split(',').map((one) => oneOf('engines', one, ENGINES));
const file = 'node_modules/.bench/first-call-program.mjs';
await build({
  entryPoints: ['bench/support/first-call.ts'],
  outfile: file,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  conditions: ['@blt-ts/source'],
  logLevel: 'error',
});

const times = new Map(engines.map((engine) => [engine, { backend: [] as number[], operation: [] as number[] }]));
for (let i = 0; i < f.runs; i++) {
  for (const [engine, { backend, operation }] of times) {
    const said = await (await start(engine, { file, page: '' }, '')).said;
    if (!said.startsWith('[')) throw new Error(`first-call: ${engine} said: ${said}`);
    const [made, ran] = JSON.parse(said) as [number, number];
    backend.push(made);
    operation.push(ran);
  }
}
const rows = [...times].map(([engine, { backend, operation }]) => ({
  engine,
  backend_ms: short(median(backend)),
  backend_least_ms: short(Math.min(...backend)),
  operation_ms: short(median(operation)),
}));
report('first-call', { runs: f.runs, rows }, [
  `first createWasmBackend() and first operation, milliseconds of processor time, median of ${f.runs} processes`,
  ...table([Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map(String))]),
]);
