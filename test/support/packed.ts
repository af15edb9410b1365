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

/** Packs a package as `pnpm publish` would: with versions in the place of `workspace:*`. @returns the path of the tarball */
function pack(source: string, to: string): string {
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest;
  const versions = Object.entries(manifest.dependencies ?? {}).map(([dependency, version]) => [
    dependency,
    version === 'workspace:*' ? manifest.version : version,
  ]);
  const stage = mkdtempSync(join(to, 'stage-'));
  for (const file of [...manifest.files, 'README.md', 'LICENSE']) {
    if (existsSync(join(source, file))) cpSync(join(source, file), join(stage, file), { recursive: true });
  }
  const { devDependencies, packageManager, scripts, ...published } = manifest;
  writeFileSync(
    join(stage, 'package.json'),
    JSON.stringify({ ...published, dependencies: Object.fromEntries(versions) }),
  );
  const printed = execFileSync(npm, ['pack', '--silent', '--pack-destination', to, stage], { encoding: 'utf8' });
  return join(to, printed.trim().split('\n').at(-1)!);
}

/** Installs tensor and autograd into `folder`. */
export function installPacked(folder: string): void {
  const tarballs = join(folder, 'tarballs');
  mkdirSync(tarballs);
  const random = realpathSync(join(root, 'packages/tensor/node_modules/pure-rand'));
  const sources = [join(root, 'packages/tensor'), join(root, 'packages/autograd'), random];
  const packed = sources.map((source) => pack(source, tarballs));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  execFileSync(npm, ['install', '--offline', '--no-audit', '--no-fund', '--silent', ...packed], { cwd: folder });
}
