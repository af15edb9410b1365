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

/** A text for a message, however long what it quotes is: at most 40 lines of 200 characters. */
export function abridged(text: string): string {
  const lines = text.split('\n', 41).map((line) => (line.length > 200 ? `${line.slice(0, 199)}…` : line));
  return lines.length > 40 ? `${lines.slice(0, 40).join('\n')}\n…` : lines.join('\n');
}

/** A message for a terminal: control characters, which names in hostile files may hold, are shown instead of sent. */
export function printableMessage(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, (char) => {
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** A warning of a command whose results go to standard output. */
export function warn(message: string): void {
  process.stderr.write(`warning: ${printableMessage(message)}\n`);
}
