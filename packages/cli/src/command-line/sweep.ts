/** @file The flags of `blt sweep`. */
import type { Command } from 'commander';
import { between, finish, whole } from './values.ts';

/** Adds `blt sweep`. */
export function addSweep(program: Command): void {
  program
    .command('sweep <file>')
    .description('train every combination of a grid, or a list of settings, and compare the runs')
    .option('--out <dir>', 'folder of the runs (default: runs/ and the name of the file)')
    .option('--jobs <n>', 'runs at a time, which share the CPU threads', between(whole, 1, 256), 1)
    .option('--dry-run', 'list the runs with their settings and stop')
    .option('--json', 'the results as one JSON object')
    .action(async (file, flags) => finish(await (await import('../commands/sweep.ts')).sweepCommand(file, flags)));
}
