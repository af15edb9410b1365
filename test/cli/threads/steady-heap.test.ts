import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';

// In a process of its own, for it changes how V8 keeps the heap.
const PROGRAM = `
import { getHeapSpaceStatistics } from 'node:v8';
import { SteadyHeap } from '${resolve('packages/cli/src/threads/steady-heap.ts').replaceAll('\\', '/')}';
const size = (name) => getHeapSpaceStatistics().find((space) => space.space_name === name).space_size;
let survivors = [];
const step = () => {
  // Some objects are alive whenever the collector looks, and die a little later.
  survivors = [];
  for (let i = 0; i < 40000; i++) {
    const small = { i, pair: [i, i] };
    if (i % 4 === 0) survivors.push(small);
  }
};
for (let i = 0; i < 5; i++) step();
const heap = process.argv[2] === 'steady' ? new SteadyHeap() : { step() {} };
const before = size('new_space');
let most = 0;
for (let i = 0; i < 500; i++) {
  step();
  heap.step();
  most = Math.max(most, size('new_space') / before);
}
console.log(JSON.stringify({ young: most, gc: typeof globalThis.gc }));
`;

test('the young generation stays at its size, which it does not by itself', () => {
  const file = join(temporaryFolder(), 'steady.mjs');
  buildSync({
    stdin: { contents: PROGRAM, resolveDir: '.' },
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
  });
  const run = (how: string) => {
    const { stdout, stderr } = spawnSync(process.execPath, [file, how], { encoding: 'utf8' });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as { young: number; gc: string };
  };
  expect(run('by itself').young).toBeGreaterThan(1);
  const steady = run('steady');
  expect(steady.young).toBeLessThanOrEqual(1);
  expect(steady.gc).toBe('undefined');
});
