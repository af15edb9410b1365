/** @file Completion of `blt` in bash, zsh and fish: one script each, made of the same words. A script asks no program, so Tab answers at once. */
import { quoted } from '../terminal/shell-words.ts';
import type { CompletedCommand, Flag, Value } from './completion-words.ts';

/** The names under which a flag is typed. */
const namesOf = ({ short, long }: Flag): string[] => (short === null ? [long] : [short, long]);

const TOP_FLAGS = ['--help', '--version'];

// bash. It has no arrays by key on macOS (3.2), hence `case`.

/** The statement that offers a value. */
const bashValue = (value: Value): string =>
  value === 'path'
    ? '_blt_paths -f'
    : value === 'folder'
      ? '_blt_paths -d'
      : value === 'free'
        ? ':'
        : bashWords(value.words);

const bashWords = (words: readonly string[]): string => `_blt_words ${quoted(words.join(' '))}`;

/** Flags with one kind of value, and what is offered for it. */
function bashArms(flags: readonly Flag[]): string[] {
  const arms = new Map<string, string[]>();
  for (const flag of flags) {
    if (flag.value === null) continue;
    const offer = bashValue(flag.value);
    arms.set(offer, [...(arms.get(offer) ?? []), ...namesOf(flag)]);
  }
  return [...arms].map(([offer, names]) => `        ${names.join(' | ')}) ${offer}; return ;;`);
}

const bashCommand = ({ name, flags, argument }: CompletedCommand): string => {
  const arms = bashArms(flags);
  return [
    `    ${name})`,
    ...(arms.length === 0 ? [] : ['      case $before in', ...arms, '      esac']),
    `      if [[ $word == -* ]]; then ${bashWords(flags.flatMap(namesOf))}; else ${bashValue(argument ?? 'free')}; fi ;;`,
  ].join('\n');
};

/** The script for bash, from 3.2 on. */
export const bashCompletion = (commands: readonly CompletedCommand[]): string => `\
# Completion of blt in bash. To have it in every shell, put this line into ~/.bashrc:
#   source <(blt completions bash)
_blt_words() {
  while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -W "$1" -- "$word")
}
_blt_paths() {
  compopt -o filenames 2>/dev/null
  while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen "$1" -- "$word")
}
_blt() {
  local found word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # bash takes --flag=value apart at the sign.
  if [[ $word == = ]]; then word=; elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  if ((COMP_CWORD == 1)); then
    ${bashWords([...commands.map(({ name }) => name), ...TOP_FLAGS])}
    return
  fi
  case \${COMP_WORDS[1]} in
${commands.map(bashCommand).join('\n')}
  esac
}
complete -F _blt blt
`;

// zsh. In a description of _arguments brackets and colons have a meaning.

const zshText = (text: string): string => text.replace(/[[\]:\\]/g, (char) => `\\${char}`);

const zshValue = (value: Value): string =>
  value === 'path'
    ? '_files'
    : value === 'folder'
      ? '_files -/'
      : value === 'free'
        ? ' '
        : `(${value.words.join(' ')})`;

/** A flag as _arguments is told of it. It may come several times, because some flags collect. */
const zshFlag = (flag: Flag): string[] =>
  namesOf(flag).map((name) => {
    const joint = flag.value === null ? '' : name.startsWith('--') ? '=' : '+';
    const value = flag.value === null ? '' : `:${zshText(flag.valueName)}:${zshValue(flag.value)}`;
    return quoted(`*${name}${joint}[${zshText(flag.help)}]${value}`);
  });

const zshCommand = ({ name, flags, argument }: CompletedCommand): string => {
  const specs = [...flags.flatMap(zshFlag), ...(argument === null ? [] : [quoted(`*:argument:${zshValue(argument)}`)])];
  return `    ${name})\n      _arguments -s ${specs.join(' \\\n        ')} ;;`;
};

/** The script for zsh: a file `_blt` of fpath, or read with `source` after compinit. */
export const zshCompletion = (commands: readonly CompletedCommand[]): string => `\
#compdef blt
# Completion of blt in zsh. To have it in every shell, put these lines into ~/.zshrc:
#   autoload -U compinit && compinit
#   source <(blt completions zsh)
_blt() {
  local -a commands
  if ((CURRENT == 2)); then
    commands=(
      ${commands.map(({ name, help }) => quoted(`${name}:${zshText(help)}`)).join('\n      ')}
    )
    _describe -t commands command commands
    _arguments ${TOP_FLAGS.map((flag) => quoted(flag)).join(' ')}
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map(zshCommand).join('\n')}
  esac
}
if [[ $funcstack[1] == _blt ]]; then _blt "$@"; else compdef _blt blt; fi
`;

// fish. It takes a backslash in single quotes for the beginning of an escape.

const fishQuoted = (text: string): string => quoted(text.replaceAll('\\', '\\\\'));

const fishValue = (value: Value): string =>
  value === 'path'
    ? ' -r -F'
    : value === 'folder'
      ? " -x -a '(__fish_complete_directories)'"
      : value === 'free'
        ? ' -x'
        : ` -x -a ${fishQuoted(value.words.join(' '))}`;

const fishFlag = (condition: string, { short, long, help, value }: Flag): string => {
  const letter = short === null ? '' : ` -s ${short.slice(1)}`;
  return `complete -c blt -n ${condition}${letter} -l ${long.slice(2)} -d ${fishQuoted(help)}${value === null ? '' : fishValue(value)}`;
};

const fishCommand = ({ name, help, flags, argument }: CompletedCommand): string => {
  const condition = `'__blt_has ${name}'`;
  const values =
    argument === null || argument === 'free' ? [] : [`complete -c blt -n ${condition}${fishArgument(argument)}`];
  return [
    `complete -c blt -n '__blt_has' -a ${name} -d ${fishQuoted(help)}`,
    ...flags.map((flag) => fishFlag(condition, flag)),
    ...values,
  ].join('\n');
};

/** Values without a flag: -r would ask for one. */
const fishArgument = (value: Value): string => (value === 'path' ? ' -F' : fishValue(value).replace(' -x', ''));

/** The script for fish, from 3.0 on. */
export const fishCompletion = (commands: readonly CompletedCommand[]): string => `\
# Completion of blt in fish. To have it in every shell:
#   blt completions fish > ~/.config/fish/completions/blt.fish
function __blt_has
  set -l words (commandline -opc)
  test "$words[2]" = "$argv[1]"
end
complete -c blt -f
complete -c blt -n '__blt_has' -l help -s h -d 'display help for command'
complete -c blt -n '__blt_has' -l version -s V -d 'output the version number'
${commands.map(fishCommand).join('\n')}
`;
