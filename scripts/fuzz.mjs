// Fuzzing of every parser (test/support/fuzz-parsers.ts): node scripts/fuzz.mjs [inputs = 1,000,000] [seed = the time]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const outfile = join(root, 'node_modules', '.bench', `fuzz-${process.pid}.mjs`);
await build({
  absWorkingDir: root,
  stdin: {
    contents: `import { fuzzParsers } from './test/support/fuzz-parsers.ts';
const [inputs, seed] = process.argv.slice(2).map(Number);
const start = performance.now();
const progress = (done) => { if (done % 100_000 === 0) console.error(done); };
const counts = await fuzzParsers({ inputs, seed, progress });
for (const [name, { inputs, refused, answers }] of counts) {
  console.log(name.padEnd(40), String(inputs).padStart(8), 'inputs', String(refused).padStart(8), 'refused', String(answers).padStart(6), 'different answers');
}
const seconds = (performance.now() - start) / 1000;
console.log(inputs + ' inputs, seed ' + seed + ', ' + seconds.toFixed(0) + ' s, peak memory ' + Math.round(process.resourceUsage().maxRSS / 1024) + ' MiB: no law was broken');`,
    resolveDir: root,
    loader: 'ts',
  },
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  conditions: ['@blt-ts/source'],
  alias: Object.fromEntries(
    ['tensor', 'autograd', 'blt'].map((p) => [`@blt-ts/${p}`, join(root, `packages/${p}/src/index.ts`)]),
  ),
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
const [inputs = '1000000', seed = String(Math.floor(Date.now() / 1000))] = process.argv.slice(2);
process.exit(spawnSync(process.execPath, [outfile, inputs, seed], { stdio: 'inherit' }).status ?? 1);
