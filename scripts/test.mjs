// Everything that must hold: install, build, types, lint, tests. Ends with a line `N passed, N failed`, and before it names the groups
// of tests that need more than Node, if they did not run.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
];

install();
step('building', process.execPath, ['scripts/build.mjs']);
step('types', process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit']);
step('lint', process.execPath, ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);

// The properties' seed is fixed here, so that what passes once passes again; `pnpm test:slow` draws fresh ones.
console.log('\n> tests');
const report = join(tmpdir(), `blt-test-${process.pid}.json`);
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  { cwd: root, stdio: 'inherit', env: { ...process.env, BLT_SEED: process.env.BLT_SEED ?? '20241213' } },
);
try {
  const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'));
  for (const { variable, tests, needs } of groups) {
    if (!process.env[variable]) console.log(`not run: ${tests}. To run them: ${needs}, then ${variable}=1 npm test`);
  }
  console.log(`${numPassedTests} passed, ${numFailedTests} failed`);
} finally {
  rmSync(report, { force: true });
}
process.exit(status ?? 1);
