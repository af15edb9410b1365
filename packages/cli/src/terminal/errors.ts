/** @file Errors for the user, and the words for those of the system. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * A failure that the user can mend: bad arguments, unreadable data, a full disk. The command prints `message` alone, with no
 * stack, and leaves with `exitCode`: 1 = the work failed, 2 = the command line or the config file is wrong.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The `code` of a Node system error (`ENOENT`, `EACCES`, ...), or undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files',
  ELOOP: 'its symbolic links go round in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'it is a folder',
  EIO: 'the device reported a read or write error',
};

/**
 * Why a folder could not be made. A recursive `mkdir` of Node says ENOENT on a disk that cannot be written, so that the nearest folder that
 * exists is asked.
 */
export function reasonNoFolder(path: string, error: unknown): string {
  if (errorCode(error) !== 'ENOENT') return reason(error);
  let above = resolve(path);
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
  try {
    accessSync(above, constants.W_OK);
  } catch (refused) {
    return reason(refused);
  }
  return reason(error);
}

/** Plain words for a system error: `permission denied` rather than `EACCES: permission denied, open '...'`. */
export function reason(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && REASONS[code] !== undefined) return REASONS[code];
  return error instanceof Error ? error.message : String(error);
}

/** A sentence for what the operating system refused, `/mnt/x: no space left on the device`; undefined for any other error. */
export function systemFailure(error: unknown): string | undefined {
  if (errorCode(error) === undefined || !(error instanceof Error) || !('syscall' in error)) return undefined;
  const place = 'path' in error && typeof error.path === 'string' ? error.path : `system call ${error.syscall}`;
  return `${place}: ${reason(error)}`;
}

/** A sentence for memory that the system refused, as V8 and WebAssembly word it; undefined for any other error. */
export function outOfMemory(error: unknown): string | undefined {
  if (!(error instanceof RangeError)) return undefined;
  if (!/allocation failed|could not allocate|Invalid typed array length|Out of memory/i.test(error.message))
    return undefined;
  return (
    `not enough memory (${error.message}); close other programs, raise the limit of this one (ulimit -v, a container's), ` +
    'or choose less: --size, --batch-size, --row-bytes, --threads'
  );
}

/** A text for a message, however long what it quotes is: at most 40 lines of 200 characters. */
export function abridged(text: string): string {
  const lines = text.split('\n', 41).map((line) => (line.length > 200 ? `${line.slice(0, 199)}…` : line));
  return lines.length > 40 ? `${lines.slice(0, 40).join('\n')}\n…` : lines.join('\n');
}

/**
 * A message for a terminal. Control characters, bidirectional controls and invisible ones, which names in hostile files may hold, are
 * shown as `\x1b` or `\u202e` instead of sent. Newlines stay, and so do the two joiners that Persian, Hindi and emoji need.
 */
export function printableMessage(text: string): string {
  return text.replace(/(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => {
    const hex = char.codePointAt(0)!.toString(16);
    return hex.length > 2 ? `\\u${hex.length > 4 ? `{${hex}}` : hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`;
  });
}
