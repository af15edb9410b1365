/** @file Files that become other files, one after the other, with the manners of gzip. */
import { type Stats, statSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { checkCanWrite, takesBytes, writeFileAtomically } from '../files/atomic-file.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { complain } from '../terminal/output.ts';
import { plainView, type Reading, readBytes } from './read-file.ts';

/** Where results go. */
export interface ConversionFlags {
  /** To standard output. */
  readonly stdout?: boolean;
  /** Name of the only result. */
  readonly out?: string;
  /** Overwrite, and write binary to a terminal. */
  readonly force?: boolean;
  readonly keep?: boolean;
  /** Delete what was read. */
  readonly rm?: boolean;
  readonly json?: boolean;
}

/** A kind of conversion. */
export interface Conversion {
  /** The name of a file's result. @throws UserError if it has none */
  readonly nameOf: (file: string) => string;
  /** Whether results may be bytes that a terminal should not get. */
  readonly binary: boolean;
  /** @param name of the file, for messages */
  readonly convert: (bytes: Uint8Array, name: string) => Promise<Uint8Array>;
  /** Tells what has come of a file. @param to null: standard output */
  readonly report: (from: string, to: string | null) => void;
}

const STDIN = '-';

/**
 * Converts files, each as a whole: its result is there complete or not at all. What goes wrong with one is said, and the others go on.
 * @returns the exit code: 0, or 1 if a file failed
 * @throws UserError of exit code 2 for wrong flags or a wrong model, which end the command at once
 */
export async function convertFiles(
  files: readonly string[],
  flags: ConversionFlags,
  conversion: Conversion,
): Promise<number> {
  const all = files.length === 0 ? [STDIN] : files;
  checkFlags(all, flags, conversion);
  let code = 0;
  for (const file of all) {
    try {
      await convertFile(file, flags, conversion);
    } catch (error) {
      if (!isAnswer(error) || isOfAll(error)) throw error;
      complain(`${shown(file)}: ${reason(error)}`);
      code = 1;
    }
  }
  return code;
}

const shown = (file: string): string => (file === STDIN ? 'standard input' : file);

/** Errors whose message says all. */
const isAnswer = (error: unknown): error is Error =>
  error instanceof UserError ||
  // A RangeError is that of memory which the engine does not have: an archive may promise more.
  (error instanceof Error && ['ArchiveError', 'NonFiniteError', 'ConfigError', 'RangeError'].includes(error.name)) ||
  (error instanceof Error && 'code' in error);

/** The fault is one of flags or of the model, so each of the next files would meet it too. */
const isOfAll = (error: Error): boolean => error instanceof UserError && error.exitCode === 2;

function checkFlags(files: readonly string[], flags: ConversionFlags, { binary }: Conversion): void {
  const { stdout, out, force, keep, rm, json } = flags;
  const toStdout = stdout || (files.includes(STDIN) && out === undefined);
  const apart = (a: string, b: string) => new UserError(`${a} and ${b} do not go together; leave one out`, 2);
  if (stdout && out !== undefined) throw apart('--stdout', '--out');
  if (keep && rm) throw apart('--keep', '--rm');
  if (rm && toStdout) throw apart('--rm', 'standard output');
  if (json && toStdout) throw apart('--json', 'standard output');
  if (out !== undefined && files.length > 1) {
    throw new UserError(`--out names one file, but ${files.length} were given; leave it out`, 2);
  }
  if (toStdout && binary && !force && process.stdout.isTTY) {
    throw new UserError(
      'an archive is no text for a terminal; redirect it, name files or --out, or force it with -f',
      1,
    );
  }
}

async function convertFile(file: string, flags: ConversionFlags, conversion: Conversion): Promise<void> {
  const to = flags.stdout ? null : (flags.out ?? (file === STDIN ? null : conversion.nameOf(file)));
  if (to !== null) checkPlace(file, to, flags);
  const { bytes, file: source } = await contents(file);
  if (flags.rm && file !== STDIN && !source) throw new UserError('it is no plain file to delete; leave out --rm');
  const made = await conversion.convert(bytes, shown(file));
  if (to === null) await written(made);
  else await writeLike(source, to, made);
  conversion.report(shown(file), to);
  if (flags.rm && source) await removeRead(file, source, to!);
}

/** @throws UserError for a name that the result cannot have */
function checkPlace(file: string, to: string, { force, rm }: ConversionFlags): void {
  try {
    checkCanWrite(to);
  } catch (error) {
    // Of this file alone: the results of others may go elsewhere.
    throw new UserError(reason(error), 1, { cause: error });
  }
  const there = statSync(to, { throwIfNoEntry: false });
  const isSink = there !== undefined && takesBytes(there);
  if (isSink && rm) {
    throw new UserError(`${to} is no file that keeps the result, so ${shown(file)} is not deleted; leave out --rm`);
  }
  if (there?.isFile() && !force) {
    throw new UserError(`${to} exists already; overwrite it with -f, or name another with --out`);
  }
  if (!isSink && isSameFile(file, to)) {
    throw new UserError('the result would take its own place; name another with --out');
  }
}

/** Deletes the file that was read. @throws UserError if its name is that of another file by now, or its contents have changed */
async function removeRead(file: string, read: Stats, to: string): Promise<void> {
  const now = statSync(file, { throwIfNoEntry: false });
  const isSame = now && (['dev', 'ino', 'size', 'mtimeMs'] as const).every((field) => now[field] === read[field]);
  if (!isSame) throw new UserError(`it has changed since it was read, so it is kept; ${to} holds what was read`);
  await rm(file);
}

/** Whether two names, of which the second may be free, are those of one file. */
function isSameFile(file: string, to: string): boolean {
  if (file === STDIN) return false;
  const [a, b] = [file, to].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

async function contents(file: string): Promise<Pick<Reading, 'bytes' | 'file'>> {
  if (file === STDIN) {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
    return { bytes: plainView(Buffer.concat(chunks)) };
  }
  try {
    return await readBytes(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(reason(error), 1, { cause: error });
  }
}

/** Writes a result with the permissions and the times of the file that it was made of: a private file stays private. */
async function writeLike(source: Stats | undefined, to: string, data: Uint8Array): Promise<void> {
  await writeFileAtomically(to, data, undefined, source && source.mode & 0o777);
  // The times of a device are not those of what was written to it.
  if (source && statSync(to).isFile()) await utimes(to, source.atime, source.mtime).catch(() => {});
}

const written = (data: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(error) : resolve()));
  });
