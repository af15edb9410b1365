/** @file The flags of `blt play`. */
import { type Command, Option } from 'commander';
import { between, finish, whole } from './values.ts';

/** Adds `blt play`. */
export function addPlay(program: Command): void {
  program
    .command('play')
    .description(
      'a page in the browser: patches while you type, training, generation, kernels; or write it with --build',
    )
    .addOption(new Option('-m, --model <dir>', 'run or checkpoint folder to load'))
    .option('--port <n>', 'port on this machine (8258, or any free one)', between(whole, 0, 65_535))
    .option('--no-open', 'do not open a browser')
    .option('--build <dir>', 'write the page to a folder for a web host, and stop')
    .action(async (flags) => finish(await (await import('../commands/play.ts')).playCommand(flags)));
}
