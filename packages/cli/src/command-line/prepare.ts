/** @file The flags of `blt prepare`. */
import { type Command, Option } from 'commander';
import { between, collect, finishInBestNode, needed, number, thisNodeOption, threadsOption, whole } from './values.ts';

/** Adds `blt prepare`. */
export function addPrepare(program: Command): void {
  program
    .command('prepare')
    .description('entropies and patches of a corpus, a shard at a time, for blt train --prepared')
    .option('-d, --data <path>', 'as for train; may be repeated', collect)
    .option('--held-out <path>', 'as for train; may be repeated', collect)
    .option('--held-out-fraction <share>', 'as for train (0.1)', number)
    .addOption(new Option('--split <how>', 'as for train (auto)').choices(['auto', 'end', 'documents', 'tails']))
    .option('--dedupe', 'as for train')
    .option('--seed <n>', 'as for train: --split documents draws by it (0)', between(whole, 0, 2 ** 32 - 1))
    .option('--text-field <name>', 'as for train')
    .option('--raw', 'as for train')
    .option('-p, --patcher <dir>', 'run or checkpoint whose entropy model scores the bytes')
    .addOption(new Option('--mode <mode>', 'how to cut').choices(['entropy', 'space', 'static', 'byte']))
    .option('--threshold <nats>', "entropy threshold (the model's own)", number)
    .option('--monotonic', 'compare the rise of the entropy with the threshold, not the entropy')
    .option('--threshold-add <nats>', 'besides the threshold, demand that the entropy rises by more than this', number)
    .option('--patch-size <bytes>', 'bytes per patch, mode static', between(whole, 1))
    .option('--max-patch-length <bytes>', 'longest patch', between(whole, 1))
    .option('--shard <i/n>', 'make part i of n', '1/1')
    .option('-o, --out <dir>', 'folder of the shards (required)')
    .addOption(threadsOption())
    .option('--json', 'every event as a line of JSON')
    .addOption(thisNodeOption())
    .action((flags) => {
      const here = async () => (await import('../commands/prepare.ts')).prepareCommand(needed(flags, 'out'));
      return finishInBestNode(flags, here, true);
    });
}
