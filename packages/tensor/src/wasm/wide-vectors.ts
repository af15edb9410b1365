/** @file Whether V8 makes one 256-bit instruction of two neighbouring 128-bit ones. */
import { environment, nodeModule, nodeProcess } from './host.ts';

/** First and last version of Node in which V8 was seen to join two neighbouring 128-bit instructions into one of 256 bits. */
const JOINING_VERSIONS = [24, 26];

/**
 * The reason for which pairs of 128-bit operations would stay apart in this version of Node on this machine, or undefined where they become 256-bit
 * ones. That doubles the speed of matrix products: V8 does it in Node 24 to 26, once asked to, on processors with AVX2.
 * BLT_NO_WIDE=1 opts out, BLT_WIDE=1 asks later versions too.
 */
export function whyNarrow(version: string): string | undefined {
  const { arch, platform, versions } = nodeProcess ?? {};
  // Bun, Deno and Electron give a version of Node too, but have another engine than it.
  const other = ['bun', 'deno', 'electron'].find((name) => versions?.[name] !== undefined);
  if (other !== undefined) return `${other} ${versions?.[other]}, tried in Node only`;
  if (environment('BLT_NO_WIDE') === '1') return 'BLT_NO_WIDE=1';
  if (arch !== 'x64') return `${arch} has no wider ones`;
  const major = Number.parseInt(version, 10);
  const [first, last] = JOINING_VERSIONS;
  if (major < first) return `Node ${version}; Node ${first} or later has 256-bit ones`;
  if (major > last && environment('BLT_WIDE') !== '1') return `not tried with Node ${major}; BLT_WIDE=1 tries`;
  if (platform !== 'linux') return undefined;
  const fs = nodeModule<{ readFileSync(path: string, encoding: string): string }>('node:fs');
  try {
    if (!/\bavx2\b/.test(fs?.readFileSync('/proc/cpuinfo', 'utf8') ?? 'avx2')) return 'this processor has no AVX2';
  } catch {
    // A container may hide the file; nearly every x64 processor since 2015 has AVX2.
  }
  return undefined;
}

/**
 * Whether the kernels of the wasm backend would work with 256-bit vectors on this machine if that version of Node ran them.
 * @param version such as process.versions.node
 */
export const wideVectorsWith = (version: string): boolean =>
  nodeProcess?.versions?.node !== undefined && whyNarrow(version) === undefined;
