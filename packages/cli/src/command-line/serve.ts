/** @file The flags of `blt serve`. */
import type { Command } from 'commander';
import {
  backendOption,
  between,
  finishInBestNode,
  thisNodeOption,
  threadsOption,
  weightsOption,
  whole,
} from './values.ts';

/** Adds `blt serve`. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .argument('[model]', 'run or checkpoint folder (default: the newest run)')
    .description('completions over HTTP, for clients of the OpenAI API')
    .option('--host <address>', 'address to listen on; other than this machine needs a key', '127.0.0.1')
    .option('--port <n>', 'port; 0: any free one', between(whole, 0, 65_535), 8259)
    .option('--name <name>', "name of the model for clients (default: its folder's)")
    .option('--api-key <key>', 'what clients must send; BLT_API_KEY keeps it out of the list of processes')
    .option('--places <n>', 'texts made side by side', between(whole, 1, 1024), 32)
    .option('--queue <n>', 'texts that may wait for a place', between(whole, 0, 100_000), 256)
    .option('--max-bytes <n>', 'most bytes of one answer', between(whole, 1, 1_000_000), 4096)
    .option('--chat', 'the model was trained on chats, though its folder does not say so')
    .option(
      '--context <bytes>',
      'most bytes the model looks back (512, or all it takes if that is less)',
      between(whole, 2),
    )
    .addOption(weightsOption())
    .addOption(backendOption())
    .addOption(threadsOption())
    .addOption(thisNodeOption())
    .action((model, flags) =>
      finishInBestNode(flags, async () => (await import('../commands/serve.ts')).serveCommand(model, flags), true),
    );
}
