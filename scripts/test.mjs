// Everything that must hold: install, build, types, lint, no dead code, tests. Ends with a line `N passed, N failed`, and before it names the groups
// of tests that need more than Node, if they did not run.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { otherNode, versionOf } from './other-node.mjs';
import { install, root, step } from './workspace.mjs';

const groups = [
  {
    variable: 'BLT_TEST_CHROMIUM',
    tests: 'the page of blt play, WebGPU, WebGL 2 and threads in headless Chromium',
    needs: 'apt-get install chromium (or CHROMIUM=path)',
  },
  {
    variable: 'BLT_TEST_WEBGPU',
    tests: 'WebGPU in Node',
    needs: 'apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri (or BLT_TEST_WEBGPU=native for a GPU of your own)',
  },
  {
    variable: 'BLT_TEST_NODE',
    tests: 'the WebAssembly kernels as 256-bit code, optimised from the first call',
    needs: 'Node 24 or later (its path, or 24 for the pinned one, which npm fetches)',
    value: '24',
  },
];

await install();
await step('building', process.execPath, ['scripts/build.mjs']);

/** Steps one after the other, each a title and what Node runs. */
async function inTurn(steps) {
  for (const [title, ...args] of steps) await step(title, process.execPath, args);
}

const tsc = 'node_modules/typescript/bin/tsc';
const knip = ['node_modules/knip/bin/knip.js', '--no-progress'];
// None of these needs another one, so two of them run side by side.
await Promise.all([
  inTurn([
    ['types', tsc, '-p', 'tsconfig.json', '--noEmit'],
    ['types of the benchmarks', tsc, '-p', 'bench/tsconfig.json', '--noEmit'],
  ]),
  inTurn([
    ['lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '.'],
    ['dead code', ...knip],
    ['code that only tests reach', ...knip, '--production', '--workspace', 'packages/cli'],
  ]),
]);

/** Runs vitest and adds up its counts. The properties' seed is fixed, so that what passes once passes again; `pnpm test:slow` draws fresh ones. */
const total = { passed: 0, failed: 0, status: 0 };
function tests(title, node, args) {
  console.log(`\n> ${title}`);
  const report = join(tmpdir(), `blt-test-${process.pid}.json`);
  const { status } = spawnSync(
    node,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, BLT_SEED: process.env.BLT_SEED ?? '20241213' } },
  );
  total.status ||= status ?? 1;
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'));
    total.passed += numPassedTests;
    total.failed += numFailedTests;
  } finally {
    rmSync(report, { force: true });
  }
}

const { BLT_TEST_NODE } = process.env;
if (BLT_TEST_NODE) {
  const optimised = ['--execArgv=--no-liftoff', '--execArgv=--no-wasm-lazy-compilation'];
  const files = ['test/tensor/wasm/', 'test/tensor/op-table', 'test/blt/training/exact-resume'];
  // A filter that matches nothing would leave its tests out without a word.
  const present = readdirSync(join(root, 'test'), { recursive: true }).map(
    (file) => `test/${file.replaceAll('\\', '/')}`,
  );
  const lost = files.find((filter) => !present.some((file) => file.startsWith(filter)));
  if (lost !== undefined) {
    console.error(`scripts/test.mjs asks for ${lost}*, and there is no such test`);
    process.exit(1);
  }
  const node = otherNode(BLT_TEST_NODE);
  const version = versionOf(node);
  if (Number.parseInt(version, 10) < 24) {
    console.error(`BLT_TEST_NODE=${BLT_TEST_NODE}: Node ${version} has no 256-bit vectors; name one from 24 on`);
    process.exit(1);
  }
  tests(`tests of the 256-bit kernels, Node ${version}`, node, [...optimised, ...files]);
}
tests('tests', process.execPath, []);
for (const { variable, tests, needs, value = '1' } of groups) {
  if (!process.env[variable])
    console.log(`not run: ${tests}. To run them: ${needs}, then ${variable}=${value} npm test`);
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.status);
