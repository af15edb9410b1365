// What `npm run quickstart` and `npm test` share: they must work on a machine that has only Node and npm.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command, shows its output, and ends this process with its exit code if it fails. */
export function step(title, command, args, options = {}) {
  if (title) console.log(`\n> ${title}`);
  const windows = process.platform === 'win32';
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: windows, ...options });
  if (error) {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  }
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs exactly what the lockfile names, with a pnpm that npx fetches. No install scripts run. */
export function install() {
  step(
    'installing (pnpm, exactly the lockfile)',
    'npx',
    ['--yes', 'pnpm@12', 'install', '--frozen-lockfile', '--reporter=append-only'],
    {
      env: { ...process.env, CI: 'true' },
    },
  );
}
