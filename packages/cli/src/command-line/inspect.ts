/** @file The flags of `blt inspect`. */
import type { Command } from 'commander';
import { finish } from './values.ts';

/** Adds `blt inspect`. */
export function addInspect(program: Command): void {
  program
    .command('inspect [dir]')
    .description('what a model folder holds')
    .option('--plan', 'names, shapes and memory needed, without loading; takes a list of keys and shapes too')
    .option('--tensors', 'list every tensor')
    .option('--json', 'one JSON object')
    .action(async (path, flags) => finish(await (await import('../commands/inspect.ts')).inspectCommand(path, flags)));
}
