/** @file The flags of `blt trace`. */
import type { Command } from 'commander';
import { backendOption, behaviourOption, finish, modelOption, needed, number, threadsOption } from './values.ts';

/** Adds `blt trace`. */
export function addTrace(program: Command): void {
  program
    .command('trace')
    .description('entropies, logits and gradients for given ids, to compare implementations')
    .addOption(modelOption())
    .option('--ids <file>', '(required) JSON: {"input_ids": [[1, 76, ...], ...]}')
    .option('--threshold <nats>', 'entropy threshold instead of the one stored', number)
    .option('--grads', 'also the gradient of the mean next-byte loss for every tensor')
    .addOption(behaviourOption())
    .option('-o, --out <file>', 'safetensors file to write (required)')
    .addOption(backendOption())
    .addOption(threadsOption())
    .action(async (flags) =>
      finish(await (await import('../commands/trace.ts')).traceCommand(needed(needed(flags, 'ids'), 'out'))),
    );
}
