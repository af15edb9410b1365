/** @file The flags of `blt doctor`. */
import type { Command } from 'commander';
import { finish } from './values.ts';

/** Adds `blt doctor`. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('test every backend on this machine; say what will be used and why')
    .option('--json', 'one JSON object')
    .action(async (flags) => finish(await (await import('../commands/doctor.ts')).doctorCommand(flags)));
}
