/** @file The flags of `blt score`. */
import { type Command, Option } from 'commander';
import {
  backendOption,
  between,
  collect,
  FEW_BYTES,
  finishFilesInBestNode,
  number,
  RAW,
  thisNodeOption,
  threadsOption,
  whole,
} from './values.ts';

/** Adds `blt score`. */
export function addScore(program: Command): void {
  program
    .command('score [files...]')
    .description('bits per byte of files, lines or bytes: odd ones first, a corpus filtered, the source named')
    .addOption(new Option('--per <what>', 'what gets a figure').choices(['file', 'line', 'byte']).default('file'))
    .option(
      '-m, --model <dir>',
      'run or checkpoint (default: the newest run). May be repeated, and the best is named',
      collect,
    )
    .option('--top <n>', 'only the n with the most bits per byte, the most surprising first', between(whole, 1))
    .option('--above <bits>', 'only those with more bits per byte', between(number, 0))
    .option('--min-bytes <n>', 'leave out what is shorter', between(whole, 0), 0)
    .option('--keep-below <bits>', 'write what has fewer bits per byte into --out', between(number, 0))
    .option('--out <dir>', 'a new folder for --keep-below')
    .option('--html <file>', 'write a page: the surprise of each byte beside patches and entropies')
    .option('--json', 'one JSON object for each file or line')
    .option('--tsv', 'a table with tabs between its columns')
    .option('--text-field <name>', 'field of .jsonl lines that holds the text')
    .option('--raw', RAW)
    .option('--memory', "mix in the run's memory of its training text, which learns from each text that is scored")
    .addOption(backendOption())
    .addOption(threadsOption())
    .addOption(thisNodeOption())
    .action((files, flags) =>
      finishFilesInBestNode(files, FEW_BYTES, flags, async () =>
        (await import('../commands/score.ts')).scoreCommand(files, flags),
      ),
    );
}
