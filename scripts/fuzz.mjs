// Fuzzing of every parser (test/support/fuzz-parsers.ts): node scripts/fuzz.mjs [inputs = 1,000,000] [seed = the time] [--guided | --measured]
// --guided keeps and breaks further what reaches new blocks of code, as V8 counts them; without it, what is answered in new words.
// --measured only counts, at the end, the code that was reached.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const outfile = join(root, 'node_modules', '.bench', `fuzz-${process.pid}.mjs`);
await build({
  absWorkingDir: root,
  stdin: {
    contents: `import { fuzzParsers } from './test/support/fuzz-parsers.ts';
import { BlockCoverage } from './test/support/block-coverage.ts';
const [inputs, seed, mode] = process.argv.slice(2).map(Number);
const start = performance.now();
// Our own code and the parsers it calls, not that which breaks the inputs.
const coverage = mode > 0 ? new BlockCoverage(process.argv[1], /^(packages|node_modules)\\//) : undefined;
const progress = (done) => { if (done % 100_000 === 0) console.error(done); };
const counts = await fuzzParsers({ inputs, seed, progress, guide: mode === 2 ? coverage : undefined });
for (const [name, { inputs, refused, answers, kept }] of counts) {
  console.log(name.padEnd(40), String(inputs).padStart(8), 'inputs', String(refused).padStart(8), 'refused', String(answers).padStart(6), 'different answers', String(kept).padStart(6), 'kept');
}
const seconds = (performance.now() - start) / 1000;
coverage?.fresh();
if (coverage) console.log(coverage.reached + ' characters of code reached');
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
const mode = process.argv.includes('--guided') ? '2' : process.argv.includes('--measured') ? '1' : '0';
const [inputs = '1000000', seed = String(Math.floor(Date.now() / 1000))] = process.argv
  .slice(2)
  .filter((text) => !text.startsWith('--'));
const { status } = spawnSync(process.execPath, [outfile, inputs, seed, mode], { stdio: 'inherit' });
rmSync(outfile, { force: true });
process.exit(status ?? 1);
