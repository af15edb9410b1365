/**
 * @file Training on the fastest Node at hand. Node 24 joins pairs of the kernels' vectors into 256-bit ones, which about doubles the
 * speed of training on x64. A Node from 20 on therefore hands `blt train` over to one that does, if PATH or the clone's cache holds
 * one. Nothing is downloaded here: `npm run quickstart` does that, and says so.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wideVectorsWith } from '@blt-ts/tensor';
import { note } from '../terminal/output.ts';

/** A binary of Node, and its version as process.versions.node has it. */
export interface NodeBinary {
  readonly path: string;
  readonly version: string;
}

/** Questions about a binary, which tests answer themselves. */
interface Has {
  readonly file: (path: string) => boolean;
  readonly version: (path: string) => string | undefined;
  readonly wide: (version: string) => boolean;
}

/** Signals that a terminal or a service manager sends to end a program. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const NODE = process.platform === 'win32' ? 'node.exe' : 'node';
/** Set for the process that took over. */
const HANDED_OVER = 'BLT_HANDED_OVER';

/** Where scripts/pinned.mjs keeps the Node that the quickstart fetched, seen from packages/cli/dist. */
function cached(): string[] {
  const cache = fileURLToPath(new URL('../../../node_modules/.cache/blt-pinned/', import.meta.url));
  if (!existsSync(cache)) return [];
  return readdirSync(cache)
    .filter((name) => name.startsWith('node-'))
    .sort()
    .map((name) => join(cache, name, 'package', 'bin', NODE));
}

/** Every `node` of PATH. A relative entry would name another program in each folder, so none is taken. */
const inPath = (path = ''): string[] =>
  path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, NODE));

/** The version that a binary answers, or undefined for one that is no Node. */
function versionOf(path: string): string | undefined {
  const { stdout } = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8', timeout: 5000 });
  return /^\d+\.\d+\.\d+$/.exec(stdout?.trim() ?? '')?.[0];
}

/** The first of these binaries that has wider vectors than the Node that runs. */
export function widerNode(
  paths: readonly string[],
  has: Has = { file: existsSync, version: versionOf, wide: wideVectorsWith },
): NodeBinary | undefined {
  const seen = new Set([realpathSync(process.execPath)]);
  for (const path of paths) {
    if (!has.file(path)) continue;
    const real = existsSync(path) ? realpathSync(path) : path;
    if (seen.has(real)) continue;
    seen.add(real);
    const version = has.version(path);
    if (version !== undefined && has.wide(version)) return { path, version };
  }
  return undefined;
}

/** The process that took over ends in order when the one that handed over is gone, even if that was killed outright. */
function endWithParent(): void {
  if (process.env[HANDED_OVER] !== '1' || !process.channel) return;
  delete process.env[HANDED_OVER];
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}

/** Runs this very command with another Node, on this terminal. @returns its exit code */
function handOver({ path }: NodeBinary): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [HANDED_OVER]: '1' },
    });
    // Ctrl-C reaches both processes. The child takes two signals that come together for one.
    for (const signal of SIGNALS) process.on(signal, () => void child.kill(signal));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      for (const one of SIGNALS) process.removeAllListeners(one);
      if (signal) process.kill(process.pid, signal);
      resolve(code ?? 1);
    });
  });
}

/**
 * Trains in a Node with wider vectors, if this one has none and such a one is at hand; says so in a line, or else what would be gained.
 * `--this-node` and BLT_THIS_NODE=1 opt out, and so does a backend that computes without these vectors.
 * @returns the exit code of that process, or undefined if this one is to train
 */
export async function trainedElsewhere(flags: { thisNode?: boolean; backend?: string }): Promise<number | undefined> {
  endWithParent();
  const { node } = process.versions;
  const vectors = flags.backend === undefined || flags.backend === 'auto' || flags.backend === 'wasm';
  if (flags.thisNode || process.env.BLT_THIS_NODE === '1' || !vectors) return undefined;
  if (wideVectorsWith(node) || !wideVectorsWith('24.0.0')) return undefined;
  const found = widerNode([...inPath(process.env.PATH), ...cached()]);
  if (found === undefined) {
    const fetch = existsSync(join(dirname(fileURLToPath(import.meta.url)), '../../../scripts/other-node.mjs'));
    const how = fetch ? '`node scripts/other-node.mjs 24 --version` fetches one' : 'https://nodejs.org has it';
    note(`Node ${node} has 128-bit vectors. Node 24 would train up to twice as fast here; ${how}`);
    return undefined;
  }
  note(
    `Node ${found.version} trains in place of ${node}, because its vectors are twice as wide (--this-node opts out)`,
  );
  return handOver(found);
}
