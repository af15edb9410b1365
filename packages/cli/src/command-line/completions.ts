/** @file The argument of `blt completions`. */
import { Argument, type Command } from 'commander';

/** Adds `blt completions`. */
export function addCompletions(program: Command): void {
  program
    .command('completions')
    .description('print a script that completes commands, flags and values in your shell')
    .addArgument(new Argument('<shell>', 'whose script').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
To have it in every new shell:
  bash   echo 'source <(blt completions bash)' >> ~/.bashrc
  zsh    echo 'source <(blt completions zsh)' >> ~/.zshrc     # below compinit
  fish   blt completions fish > ~/.config/fish/completions/blt.fish`,
    )
    .action(async (shell) => (await import('../commands/completions.ts')).completionsCommand(shell, program));
}
