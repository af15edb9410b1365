/** @file Colours on a terminal, and whether it takes them. */
/** The properties of a terminal, file or pipe that decide whether colours are used. */
export interface TerminalLike {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/**
 * Whether to colour what is written to `stream`: only a terminal, never with NO_COLOR set (to anything but '', https://no-color.org)
 * or TERM=dumb; FORCE_COLOR (not 0) overrides a stream that is no terminal.
 */
export function usesColor(stream: Pick<TerminalLike, 'isTTY'>, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

/** Select Graphic Rendition sequences; node's styleText has no 256-colour backgrounds. */
export function sgr(codes: string, text: string): string {
  return `\x1b[${codes}m${text}\x1b[0m`;
}
