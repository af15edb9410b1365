/** @file The words that can follow in a command line of `blt`, taken from its definitions: what completion in a shell is made of. */
import type { Command } from 'commander';
import { flagOf, OPTIONS, type OptionRow } from '../config/options.ts';

/** A value as a shell can complete it: one of some words, a path, a folder, or nothing that anybody could list. */
export type Value = { readonly words: readonly string[] } | 'path' | 'folder' | 'free';

/** A flag as the user types it. */
export interface Flag {
  /** `--seed`, without which there is no flag. */
  readonly long: string;
  /** `-n`, where there is one. */
  readonly short: string | null;
  readonly help: string;
  /** The value that follows it; null: none does. */
  readonly value: Value | null;
  /** The name of the value in the help. */
  readonly valueName: string;
}

/** A command of `blt` with everything that may follow it. */
export interface CompletedCommand {
  readonly name: string;
  readonly help: string;
  readonly flags: readonly Flag[];
  /** The arguments without a flag; null: there are none. */
  readonly argument: Value | null;
}

/** Names of values, as the help has them, that are files or folders. */
const PATHS = new Set(['path', 'file', 'files', 'experiment']);
const FOLDERS = new Set(['dir', 'run', 'model']);

/** @param name in the help: `<dir>`, `[files...]`, `<on|off>` */
function completionOf(name: string, choices: readonly string[] | undefined): Value {
  if (choices !== undefined) return { words: choices };
  if (name.includes('|')) return { words: name.split('|') };
  return PATHS.has(name) ? 'path' : FOLDERS.has(name) ? 'folder' : 'free';
}

/** The words of an option of `blt train` whose value is checked together with those of the config file. */
const tableChoices = (command: string, long: string): readonly string[] | undefined =>
  command === 'train'
    ? (OPTIONS as readonly OptionRow[]).find((row) => `--${flagOf(row)}` === long)?.choices
    : undefined;

/** Commander adds this one to every command, and a command `help`. */
const HELP: Flag = { long: '--help', short: '-h', help: 'display help for command', value: null, valueName: '' };

/** The commands of `blt` with their flags, in the order of the help, from the definitions that also read the command line. */
export function completedCommands(program: Command): CompletedCommand[] {
  const commands = program.commands.map((command): CompletedCommand => {
    const name = command.name();
    const flags = command.options
      .filter(({ hidden, long }) => !hidden && long !== undefined)
      .map(({ long, short, description, flags: text, required, optional, argChoices }): Flag => {
        const valueName = /[<[](.*?)(?:\.\.\.)?[>\]]/.exec(text)?.[1] ?? '';
        const takes = required || optional;
        return {
          long: long!,
          short: short ?? null,
          help: description,
          value: takes ? completionOf(valueName, argChoices ?? tableChoices(name, long!)) : null,
          valueName,
        };
      });
    const [argument] = command.registeredArguments;
    return {
      name,
      help: command.description(),
      flags: [...flags, HELP],
      argument: argument === undefined ? null : completionOf(argument.name(), argument.argChoices),
    };
  });
  const words = commands.map(({ name }) => name);
  return [...commands, { name: 'help', help: HELP.help, flags: [], argument: { words } }];
}
