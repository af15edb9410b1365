/** @file The flags of `blt eval`. */
import type { Command } from 'commander';
import {
  backendOption,
  between,
  collect,
  finishInBestNode,
  memoryOptions,
  modelOption,
  RAW,
  thisNodeOption,
  threadsOption,
  whole,
} from './values.ts';

/** Adds `blt eval`. */
export function addEval(program: Command): void {
  const [memory, noMemory] = memoryOptions();
  program
    .command('eval')
    .description('bits per byte on held-out text, beside compressors')
    .addOption(modelOption())
    .option('-d, --data <path>', 'evaluate on this (default: the held-out part of the run)', collect)
    .option('--text-field <name>', 'field of .jsonl lines that holds the text')
    .option('--raw', RAW)
    .option(
      '--row-bytes <n>',
      'context (default: that of the run on its own held-out part, else 512)',
      between(whole, 2),
    )
    .addOption(memory)
    .addOption(noMemory)
    .option('--json', 'one JSON object')
    .addOption(backendOption())
    .addOption(threadsOption())
    .addOption(thisNodeOption())
    .action((flags) => finishInBestNode(flags, async () => (await import('../commands/eval.ts')).evalCommand(flags)));
}
