/** @file The flags of `blt generate`. */
import type { Command } from 'commander';
import {
  backendOption,
  between,
  finishInBestNode,
  mass,
  memoryOptions,
  modelOption,
  number,
  once,
  thisNodeOption,
  threadsOption,
  weightsOption,
  whole,
} from './values.ts';

/** Adds `blt generate`. */
export function addGenerate(program: Command): void {
  const [memory, noMemory] = memoryOptions();
  program
    .command('generate')
    .description('continue a prompt, byte by byte')
    .addOption(modelOption())
    .option('-p, --prompt <text>', 'what to continue; - reads it from stdin')
    .option(
      '--prompts <file>',
      'continue every prompt of a .jsonl file (-: standard input), many side by side (the model alone)',
    )
    .option('--n <k>', 'texts for each prompt of --prompts (1)', between(whole, 1, 10_000))
    .option('--out <file>', 'where the texts of --prompts go, as .jsonl (default: stdout)')
    .option('-n, --max-bytes <n>', 'most bytes to make', whole, 200)
    .option('-t, --temperature <t>', '0 = always the likeliest byte', between(number, 0), 0.8)
    .option('--top-k <n>', 'choose among the n likeliest bytes', between(whole, 1))
    .option(
      '--top-p <mass>',
      'choose among the likeliest bytes of this total probability, of those that --top-k leaves',
      mass,
    )
    .option('--seed <n>', 'same seed, same text', between(whole, 0, 2 ** 32 - 1), 0)
    .option('--chat', 'the prompt is what a user says; the answer is made as in chats that were trained on')
    .option('--system <text>', 'with --chat: the message of the system before it')
    .option('--stop <text>', 'end after this text', once)
    .option('--ignore-eos', 'go on after the end of the document')
    .option(
      '--context <bytes>',
      'most bytes the model looks back (512, or all it takes if that is less)',
      between(whole, 2),
    )
    .option(
      '--draft <bytes>',
      'draft so many bytes ahead and check them in one pass; the text is that of --no-memory',
      whole,
      0,
    )
    .addOption(weightsOption())
    .addOption(memory)
    .addOption(noMemory)
    .option('--json', 'one JSON object')
    .addOption(backendOption())
    .addOption(threadsOption())
    .addOption(thisNodeOption())
    .action((flags) => {
      // A text of a few hundred bytes is done before another Node has started.
      const thisNode = flags.thisNode || (flags.prompts === undefined && flags.maxBytes < 2000);
      const here = async () => (await import('../commands/generate.ts')).generateCommand(flags);
      return finishInBestNode({ ...flags, thisNode }, here);
    });
}
