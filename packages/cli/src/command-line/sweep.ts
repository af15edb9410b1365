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
    .addHelpText(
      'after',
      `
The file is TOML. Its keys are the flags with _ for -, in the sections that docs/options.md lists:

  [base]                   # what all runs share
  data = ["book.txt"]
  size = "nano"
  [base.train]
  steps = 200

  [grid.train]             # every combination of these values is a run
  lr = [0.003, 0.006]
  batch_size = [2, 4]

In place of the grid, a list of runs: [[run]] with run = "name" and its options, each with [run.train] and so on below it.`,
    )
    .action(async (file, flags) => finish(await (await import('../commands/sweep.ts')).sweepCommand(file, flags)));
}
