/** @file The scripts around the command: signals pass through them, they end after their child, and what they fetch is pinned. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const OTHER_NODE = join(root, 'scripts/other-node.mjs');

/** Takes half a second to end after a signal, as a run that saves does. */
const SLOW = `
import { writeFileSync } from 'node:fs';
process.on('SIGTERM', () => setTimeout(() => { writeFileSync('saved', ''); process.exit(143); }, 500));
setInterval(() => {}, 1000);
console.log('ready');
`;

const wrapped = (folder: string) =>
  spawn(process.execPath, [OTHER_NODE, process.execPath, 'slow.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });

test('a signal to other-node.mjs reaches the child, and the wrapper ends after it, with its exit code', async () => {
  const folder = temporaryFolder({ 'slow.mjs': SLOW });
  const wrapper = wrapped(folder);
  await once(wrapper.stdout, 'data');
  wrapper.kill('SIGTERM');
  expect(await once(wrapper, 'exit')).toEqual([143, null]);
  expect(readdirSync(folder)).toContain('saved');
});

test('a child that a signal ended ends the wrapper by the same one', async () => {
  const wrapper = wrapped(temporaryFolder({ 'slow.mjs': "console.log('ready'); setInterval(() => {}, 1000);" }));
  await once(wrapper.stdout, 'data');
  wrapper.kill('SIGTERM');
  expect(await once(wrapper, 'exit')).toEqual([null, 'SIGTERM']);
});

test('what is not what was pinned is refused', async () => {
  const { checkIntegrity } = await import(join(root, 'scripts/pinned.mjs'));
  // SHA-512 of "abc", from FIPS 180-2.
  const abc =
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f';
  const integrity = `sha512-${Buffer.from(abc, 'hex').toString('base64')}`;
  expect(() => checkIntegrity(Buffer.from('abc'), integrity, 'x@1')).not.toThrow();
  expect(() => checkIntegrity(Buffer.from('abd'), integrity, 'x@1')).toThrow(/^x@1 is not what was pinned/);
});

test('pnpm is pinned by version and hash, and no script names another', () => {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(packageManager).toMatch(/^pnpm@\d+\.\d+\.\d+\+sha512\.[0-9a-f]{128}$/);
  const version = packageManager.split('+')[0];
  const files = [
    ...readdirSync(join(root, 'scripts'))
      .filter((file) => file.includes('.'))
      .map((file) => `scripts/${file}`),
    '.ci/run',
    'CONTRIBUTING.md',
  ];
  for (const file of files) {
    for (const [named] of readFileSync(join(root, file), 'utf8').matchAll(/\bpnpm@\d[\w.]*/g)) {
      expect({ file, named }).toEqual({ file, named: version });
    }
    expect(readFileSync(join(root, file), 'utf8')).not.toMatch(/npx[^\n]*node-\w+@/);
  }
});
