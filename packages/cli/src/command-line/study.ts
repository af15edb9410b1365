/** @file The flags of `blt study`. */
import { type Command, Option } from 'commander';
import { between, finishInBestNode, number, thisNodeOption, whole } from './values.ts';

/** Adds `blt study`. */
export function addStudy(program: Command): void {
  program
    .command('study [experiment]')
    .description(
      'experiments of tokens, bytes and patches at equal training FLOPs (default: all; a name or a .toml file)',
    )
    .addOption(new Option('--hours <h>', 'begin no run that would end later than this').argParser(between(number, 0)))
    .addOption(new Option('--jobs <n>', 'processes, one thread each (all cores)').argParser(between(whole, 1, 1024)))
    .option('--smoke', 'every experiment with models of a moment, to see that all parts run')
    .option('--shard <i/n>', 'the i-th of n shares of the runs, for several machines on one folder')
    .option('--out <dir>', 'where runs, results.json and the page are kept (study)')
    .option('--corpus <name>', 'instead of the one that an experiment names: sotu or moby-dick')
    .option('--from <file>', 'take the finished runs of a results.json over, so that none of them is done again')
    .option('--results <file>', 'draw the page of a results.json and run nothing')
    .addOption(new Option('--one <json>', 'one run').hideHelp())
    .addOption(thisNodeOption())
    .action((name, flags) => {
      // The processes that do the runs take the Node of this one.
      const quick = flags.one !== undefined || flags.results !== undefined || flags.smoke;
      const here = async () => (await import('../commands/study.ts')).study(name, flags);
      return finishInBestNode({ thisNode: quick || flags.thisNode }, here, true);
    });
}
