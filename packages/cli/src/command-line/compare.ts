/** @file The flags of `blt compare`. */
import type { Command } from 'commander';
import { finish } from './values.ts';

/** Adds `blt compare`. */
export function addCompare(program: Command): void {
  program
    .command('compare <run...>')
    .description('learning curves of runs side by side, in one HTML page')
    .option('--html <file>', 'the page to write', 'compare.html')
    .option('--json', 'one JSON object, and no page')
    .action(async (paths, flags) =>
      finish(await (await import('../commands/compare.ts')).compareCommand(paths, flags)),
    );
}
