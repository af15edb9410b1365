/** @file Words that a command has no use for: which they are, and where they belong. */
import type { Command } from 'commander';

/** The flag that people mean by a bare word. */
const MEANT: Readonly<Record<string, string>> = {
  train: '--data',
  prepare: '--data',
  eval: '--data',
  generate: '--prompt',
};

/** Words between quotation marks, or bare where a shell takes them so. */
const shown = (word: string): string => (/^[\w./:@%+=,-]+$/.test(word) ? word : JSON.stringify(word));

/** @returns why a command refuses words, or undefined if it has taken them all   @param argv after the name of the command */
export function excessWords(command: Command, argv: readonly string[]): string | undefined {
  const takes = command.registeredArguments.length;
  const word = command.args[takes];
  if (word === undefined || command.registeredArguments[takes - 1]?.variadic) return undefined;
  const before = argv[argv.indexOf(word) - 1];
  const flag = command.options.find(({ long, short }) => before !== undefined && (before === long || before === short));
  const meant = MEANT[command.name()];
  const count = takes === 0 ? 'no arguments' : takes === 1 ? 'one argument' : `${takes} arguments`;
  const value = flag?.isBoolean() ? `; ${before} has no value` : '';
  const where = meant === undefined ? '' : `; did you mean ${meant} ${shown(word)}?`;
  return `blt ${command.name()} takes ${count}, so not ${shown(word)}${value}${where}`;
}
