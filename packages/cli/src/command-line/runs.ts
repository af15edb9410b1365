/** @file The flags of `blt runs`. */
import type { Command } from 'commander';
import { finish } from './values.ts';

/** Adds `blt runs`. */
export function addRuns(program: Command): void {
  program
    .command('runs')
    .description('list runs: state, step, best figure')
    .option('--runs <dir>', 'where runs are kept', 'runs')
    .option('--json', 'one JSON object')
    .action(async (flags) => finish(await (await import('../commands/runs.ts')).runsCommand(flags)));
}
