/**
 * @file The peers of `pnpm bench byte-gpt`: jax-js and tfjs, outside the workspace so that nobody else installs them.
 * `pnpm bench peers --install` fetches them into bench/peers/node_modules (68 MB, no install scripts).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { flags } from './support/harness.ts';

const { dependencies } = JSON.parse(readFileSync('bench/peers/package.json', 'utf8')) as {
  dependencies: Record<string, string>;
};
for (const [name, version] of Object.entries(dependencies)) console.log(`${name} ${version}`);
if (flags({ install: false }).install) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: 'bench/peers',
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}
