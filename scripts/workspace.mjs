// The part that `npm run quickstart` and `npm test` share: they must work on a machine that has only Node and npm.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endAs, runChild } from './pass-signals.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command, shows its output, and ends this process as the command ended if it fails. Ctrl-C ends the command in order. */
export async function step(title, command, args, options = {}) {
  if (title) console.log(`\n> ${title}`);
  const windows = process.platform === 'win32';
  const ended = await runChild(command, args, { cwd: root, shell: windows, ...options }).catch((error) => {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  });
  if (ended.status === 0) return;
  if (ended.signal) endAs(ended);
  process.exit(ended.status ?? 1);
}

/** `pnpm@12.21.0`: the version that package.json names, without the hash that corepack checks. */
export const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager.split('+')[0];

/** Installs exactly what the lockfile names, with the pnpm of package.json, which npx fetches. No install scripts run. */
export const install = () =>
  step(
    `installing (${pnpm}, exactly the lockfile)`,
    'npx',
    ['--yes', pnpm, 'install', '--frozen-lockfile', '--reporter=append-only'],
    { env: { ...process.env, CI: 'true' } },
  );

/** Installs in a fresh clone. Done before, it does nothing. */
export async function installOnce() {
  if (!existsSync(join(root, 'node_modules/esbuild'))) await install();
}

/** Makes a fresh clone ready for what runs on the sources: installs, and builds the WebAssembly kernels. Done before, it does nothing. */
export async function prepareSources() {
  await installOnce();
  if (existsSync(join(root, 'packages/tensor/src/wasm/kernels.generated.ts'))) return;
  await step('building the kernels', process.execPath, ['packages/tensor/scripts/build-wasm.mjs']);
}
