/** @file The files that an argument of --data stands for, and the sentences about those that cannot be read. */
import { readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { didYouMean } from '../terminal/nearest-name.ts';
import { type FilePath, pathKey, pathName } from './file-path.ts';
import { isGlob } from './glob.ts';
import { expandGlob, type FoundFile, type OnSkipped, walkFolder } from './walk.ts';

/** The files that one argument stands for, and whether it is the name of one. */
export async function resolveSource(
  source: string,
  onSkipped: OnSkipped,
): Promise<{ files: readonly FoundFile[]; isNamed: boolean }> {
  if (source === '') throw new UserError('--data is empty; give a file, a folder, a pattern or -', 2);
  try {
    const info = await stat(source).catch((error) => {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    // A path that exists is taken literally, whatever characters its name has.
    if (info?.isDirectory()) {
      const files = await walkFolder(source, onSkipped);
      if (files.length === 0) {
        throw new UserError(
          `the folder '${source}' holds no files (hidden names, node_modules and runs are skipped); name the files`,
        );
      }
      return { files, isNamed: false };
    }
    if (info) {
      const real = await realpath(source).catch(() => source);
      return { files: [{ path: source, key: pathKey(real) }], isNamed: true };
    }
    if (isGlob(source)) {
      let passedOver: string | undefined;
      const files = await expandGlob(source, (kind, path, error) => {
        passedOver ??= skipped(kind, path, error);
        onSkipped(kind, path, error);
      });
      if (files.length === 0 && passedOver === undefined) throw new UserError(`no file matches '${source}'`);
      if (files.length === 0) throw new UserError(`no file that can be read matches '${source}': ${passedOver}`);
      return { files, isNamed: false };
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (error instanceof RangeError) throw new UserError(`cannot use the pattern '${source}': ${error.message}`, 2);
    throw cannotRead(pathOf(error) ?? source, error);
  }
  throw await notFound(source);
}

/** Says which part of the path is missing, and the name beside it that was probably meant. */
async function notFound(source: string): Promise<UserError> {
  let missing = source;
  let parent = dirname(source);
  while (parent !== dirname(parent) && !(await stat(parent).catch(() => undefined))) {
    missing = parent;
    parent = dirname(parent);
  }
  if (missing.includes('\ufffd')) {
    return new UserError(
      `cannot find '${source}': a name that is not UTF-8 cannot be given; give its folder, or a pattern with ? for that character`,
    );
  }
  const target = await readlink(missing).catch(() => undefined);
  if (target !== undefined) {
    return new UserError(`cannot find '${source}': '${missing}' is a link to '${target}', which is not there`);
  }
  const neighbours = await readdir(parent).catch(() => []);
  const hint = didYouMean(basename(missing), neighbours);
  const where = parent === '.' ? 'here' : `in '${parent}'`;
  return new UserError(`cannot find '${source}': there is no '${basename(missing)}' ${where}${hint}`);
}

/** The sentence about a file that is passed over. */
export function skipped(kind: Parameters<OnSkipped>[0], path: FilePath, error: unknown): string {
  const name = pathName(path);
  if (kind === 'dead link') return `${name} is a link that leads nowhere; skipped`;
  if (kind === 'run') return `${name} is a run, and its files are no data; skipped`;
  if (kind === 'special') return `${name} is a pipe, a socket or a device; skipped`;
  return `cannot read ${name}: ${errorCode(error) === 'ENOENT' ? 'it is gone' : reason(error)}; skipped`;
}

function pathOf(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}

/** The error about a file that was named. */
export function cannotRead(path: FilePath, error: unknown): UserError {
  return new UserError(`cannot read ${pathName(path)}: ${reason(error)}`, 1, { cause: error });
}
