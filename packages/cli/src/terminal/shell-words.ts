/** @file Commands as text that can be pasted into a shell. */

/** A word that means nothing else to a shell. zsh looks for a program where `=` comes first. */
const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

/** A text in single quotes, as POSIX shells, zsh and fish take it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Words of a command, each in quotes where a shell would change it. An empty one is `''`. */
export const shellWords = (words: readonly string[]): string =>
  words.map((word) => (PLAIN.test(word) ? word : quoted(word))).join(' ');
