/**
 * @file The fastest Node at hand. Node 24 joins pairs of the kernels' vectors into 256-bit ones, which about doubles the speed of training
 * on x64, with the same bits. An older Node therefore hands commands that compute for long over to one that does, if PATH or the
 * clone's cache holds one. Nothing is downloaded here: `npm run quickstart` does that, and says so.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wideVectorsWith } from '@blt-ts/tensor';
import { note } from '../terminal/output.ts';
import { endWithParent } from './end-with-parent.ts';

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

/** Flags of a command that decide about its Node. */
export interface NodeFlags {
  readonly thisNode?: boolean;
  readonly backend?: string;
}

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

/** The process that took over ends with the one that handed over. */
function endIfHandedOver(): void {
  if (process.env[HANDED_OVER] !== '1') return;
  delete process.env[HANDED_OVER];
  endWithParent();
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

/** Whether these are files of so few bytes in all that their work is done before another Node has started. Folders and streams are not. */
export function fewBytes(paths: readonly string[], limit: number): boolean {
  const total = paths.map((path) => bytesOf(path) ?? limit).reduce((sum, bytes) => sum + bytes, 0);
  return paths.length > 0 && total < limit;
}

/** Bytes of a file; undefined for what is none, or cannot be looked at, of which the command itself complains. */
function bytesOf(path: string): number | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() ? found.size : undefined;
  } catch {
    return undefined;
  }
}

/** The Node to hand over to. Undefined where this one is as good, where `flags` keep it, or where there is no other. */
function better({ thisNode, backend = 'auto' }: NodeFlags): NodeBinary | 'none' | undefined {
  const vectors = backend === 'auto' || backend === 'wasm';
  if (thisNode || process.env.BLT_THIS_NODE === '1' || !vectors) return undefined;
  if (wideVectorsWith(process.versions.node) || !wideVectorsWith('24.0.0')) return undefined;
  return widerNode([...inPath(process.env.PATH), ...cached()]) ?? 'none';
}

/**
 * Runs a command in a Node with wider vectors, if this one has none and such a one is at hand, and otherwise here. `--this-node` and
 * BLT_THIS_NODE=1 keep it here, and so does a backend that computes without these vectors.
 * @param here the command in this Node
 * @param says a line about which Node it is, or would better be. Commands of seconds, which run in loops and pipes, say nothing
 * @returns the exit code
 */
export async function inWiderNode(flags: NodeFlags, here: () => Promise<number>, says = false): Promise<number> {
  endIfHandedOver();
  const found = better(flags);
  if (found === undefined) return here();
  const { node } = process.versions;
  if (found !== 'none') {
    const taken = `Node ${found.version} runs this in place of ${node}, because its vectors are twice as wide`;
    if (says) note(`${taken} (--this-node opts out)`);
    return handOver(found);
  }
  const fetch = existsSync(join(dirname(fileURLToPath(import.meta.url)), '../../../scripts/other-node.mjs'));
  const how = fetch ? '`node scripts/other-node.mjs 24 --version` fetches one' : 'https://nodejs.org has it';
  if (says) note(`Node ${node} has 128-bit vectors. Node 24 would be up to twice as fast here; ${how}`);
  return here();
}
