/** @file The packages as an importer has them: packed, and installed from the tarballs alone into an empty folder, without a network. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: unknown;
  readonly packageManager?: unknown;
  readonly scripts?: unknown;
}

/** A copy of a package as `pnpm publish` would pack it: with versions in the place of `workspace:*`. @returns the path of its folder */
function stage(source: string, to: string): string {
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest;
  const versions = Object.entries(manifest.dependencies ?? {}).map(([dependency, version]) => [
    dependency,
    version === 'workspace:*' ? manifest.version : version,
  ]);
  const folder = mkdtempSync(join(to, 'stage-'));
  for (const file of [...manifest.files, 'README.md', 'LICENSE']) {
    if (existsSync(join(source, file))) cpSync(join(source, file), join(folder, file), { recursive: true });
  }
  // pnpm adds the licence of the workspace to a package that has none of its own.
  if (!existsSync(join(folder, 'LICENSE'))) cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const { devDependencies, packageManager, scripts, ...published } = manifest;
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ ...published, dependencies: Object.fromEntries(versions) }),
  );
  return folder;
}

/** Packs folders into `to`. @returns the paths of the tarballs, in the same order */
function pack(sources: readonly string[], to: string): string[] {
  const stages = sources.map((source) => stage(source, to));
  const printed = execFileSync(npm, ['pack', '--silent', '--pack-destination', to, ...stages], { encoding: 'utf8' });
  return printed
    .trim()
    .split('\n')
    .map((name) => join(to, name));
}

/** Packs packages of this repository. @param names such as `tensor` @returns the paths of their tarballs */
export const packPackages = (names: readonly string[], to: string): string[] =>
  pack(
    names.map((name) => join(root, 'packages', name)),
    to,
  );

/** Installs tensor and autograd into `folder`. */
export function installPacked(folder: string): void {
  const tarballs = join(folder, 'tarballs');
  mkdirSync(tarballs);
  const random = realpathSync(join(root, 'packages/tensor/node_modules/pure-rand'));
  const packed = pack([join(root, 'packages/tensor'), join(root, 'packages/autograd'), random], tarballs);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  execFileSync(npm, ['install', '--offline', '--no-audit', '--no-fund', '--silent', ...packed], { cwd: folder });
}
