/** @file The flags of `blt patch`. */
import { type Command, Option } from 'commander';
import { backendOption, between, finish, modelOption, number, RAW, threadsOption, whole } from './values.ts';

/** Adds `blt patch`. */
export function addPatch(program: Command): void {
  program
    .command('patch [files...]')
    .description('show text or any file cut into patches')
    .addOption(modelOption())
    .option('--text <text>', 'cut this text')
    .addOption(
      new Option('--mode <mode>', 'how to cut (default: as the model does)').choices([
        'entropy',
        'space',
        'static',
        'byte',
      ]),
    )
    .option('--threshold <nats>', 'entropy threshold', number)
    .option('--monotonic', 'compare the rise of the entropy with the threshold, not the entropy')
    .option('--threshold-add <nats>', 'besides the threshold, demand that the entropy rises by more than this', number)
    .option('--patch-size <bytes>', 'bytes per patch, mode static', between(whole, 1))
    .option('--max-patch-length <bytes>', 'longest patch', between(whole, 1))
    .option('--max-bytes <n>', 'cut at most so many bytes of each file', between(whole, 1), 20_000)
    .option('--text-field <name>', 'field of .jsonl lines that holds the text')
    .option('--raw', RAW)
    .option('--json', 'one JSON object a file: lengths, entropies, threshold')
    .option('--html <file>', 'write a page with the entropy curve')
    .addOption(backendOption())
    .addOption(threadsOption())
    .action(async (files, flags) => finish(await (await import('../commands/patch.ts')).patchCommand(files, flags)));
}
