/** @file `blt completions`: the script with which a shell completes the words of `blt`. */
import type { Command } from 'commander';
import { say } from '../terminal/output.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completion-scripts.ts';
import { completedCommands } from './completion-words.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `blt completions`. @param program the command with all its definitions */
export function completionsCommand(shell: keyof typeof SCRIPTS, program: Command): void {
  say(SCRIPTS[shell](completedCommands(program)).trimEnd());
}
