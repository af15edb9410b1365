// Another Node than the one that runs: a path, or a version (24) that npx fetches from the npm registry.
// `node scripts/other-node.mjs 24 [arguments]` runs it: `node scripts/other-node.mjs 24 packages/cli/dist/blt.js train`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { root } from './workspace.mjs';

/**
 * The npm package that holds the binary itself. The package `node` only has an install script that fetches this one; where install
 * scripts are off, as in this project, `npx -p node@24 node` runs whatever node is on the PATH and says nothing.
 */
function platformPackage() {
  const { platform, arch } = process;
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${platform === 'win32' ? 'win' : platform}-${arch}`;
}

/** The version of the Node at a path; undefined if it is none. */
export const versionOf = (path) =>
  spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' })
    .stdout?.trim()
    .match(/^\d+\.\d+\.\d+$/)?.[0];

/** The path of its binary. Ends this process if there is none, or if another version answers. */
export function otherNode(versionOrPath) {
  if (existsSync(versionOrPath)) {
    if (versionOf(versionOrPath)) return versionOrPath;
    console.error(
      `${versionOrPath} is no Node: it does not say its version; give a path to one, or a version such as 24`,
    );
    process.exit(1);
  }
  const name = `${platformPackage()}@${versionOrPath}`;
  const { status, stdout } = spawnSync(
    'npx',
    ['--yes', '-p', name, 'node', '-p', 'process.execPath + "\\n" + process.versions.node'],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], shell: process.platform === 'win32' },
  );
  const [path = '', version = ''] = stdout?.trim().split('\n').slice(-2) ?? [];
  if (status !== 0 || !existsSync(path) || !`${version}.`.startsWith(`${versionOrPath}.`)) {
    const answered = version ? `: Node ${version} answered` : '';
    console.error(
      `there is no Node ${JSON.stringify(versionOrPath)}: it is not a file, and npx could not fetch ${name}${answered}`,
    );
    process.exit(1);
  }
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [version = '', ...args] = process.argv.slice(2);
  if (version === '') {
    console.error('usage: node scripts/other-node.mjs VERSION|PATH [arguments of node]');
    process.exit(2);
  }
  process.exit(spawnSync(otherNode(version), args, { stdio: 'inherit' }).status ?? 1);
}
