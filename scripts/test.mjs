// Everything that must hold: install, build, types, lint, tests. Ends with a line `N passed, N failed`.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { install, root, step } from './workspace.mjs';

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
  console.log(`${numPassedTests} passed, ${numFailedTests} failed`);
} finally {
  rmSync(report, { force: true });
}
process.exit(status ?? 1);
