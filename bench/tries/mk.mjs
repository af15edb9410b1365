import { build } from '/work/wt/learn/node_modules/esbuild/lib/main.js';

const p = (n) => `/tmp/exp/packages/${n}/src/index.ts`;
await build({
  absWorkingDir: '/tmp/exp',
  entryPoints: ['try.ts'],
  outfile: process.argv[2],
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['tar/parse', 'esbuild', 'assemblyscript/asc', '@stdlib/*'],
  conditions: ['@blt-ts/source'],
  alias: { '@blt-ts/tensor': p('tensor'), '@blt-ts/autograd': p('autograd'), '@blt-ts/blt': p('blt') },
  logLevel: 'warning',
});
