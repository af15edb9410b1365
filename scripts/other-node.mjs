// Another Node than the one that runs: a path, or a version (24) that npx fetches from the npm registry.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { root } from './workspace.mjs';

/** The path of its binary. Ends this process if there is none. */
export function otherNode(versionOrPath) {
  if (existsSync(versionOrPath)) return versionOrPath;
  const { status, stdout } = spawnSync(
    'npx',
    ['--yes', '-p', `node@${versionOrPath}`, 'node', '-p', 'process.execPath'],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], shell: process.platform === 'win32' },
  );
  const path = stdout?.trim().split('\n').pop() ?? '';
  if (status !== 0 || !existsSync(path)) {
    console.error(
      `there is no Node ${JSON.stringify(versionOrPath)}: it is not a file, and npx could not fetch node@${versionOrPath}`,
    );
    process.exit(1);
  }
  return path;
}
