/** @file The flags of `blt compress` and `blt decompress`. */
import type { Command } from 'commander';
import { UserError } from '../terminal/errors.ts';
import {
  between,
  FEW_BYTES,
  finishFilesInBestNode,
  modelOption,
  thisNodeOption,
  threadsOption,
  whole,
} from './values.ts';

/** Bytes of an archive that are opened before another Node has started. */
const ARCHIVE = 3000;

/** Flags that both have, as gzip has them. */
const withFileFlags = (command: Command): Command =>
  command
    .argument('[files...]', 'files; none, or -: standard input')
    .addOption(modelOption())
    .option('-c, --stdout', 'write to standard output')
    .option('-o, --out <file>', 'where the result of a single file goes')
    .option('-f, --force', 'overwrite files, write archives to a terminal')
    .option('-k, --keep', 'keep the files that are read (the default)')
    .option('--rm', 'delete each file that was read once its result is on the disk')
    .option('--json', 'one JSON object for each file')
    .addOption(threadsOption())
    .addOption(thisNodeOption());

/** @throws UserError for a flag that shapes archives, which says nothing about opening one */
function refuseForOpening(flags: Readonly<Record<string, unknown>>): void {
  const shaping = {
    block: 'block',
    places: 'places',
    context: 'context',
    memory: 'memory',
    selfContained: 'self-contained',
  };
  const given = Object.entries(shaping).find(([key]) => flags[key] !== undefined)?.[1];
  if (given === undefined) return;
  throw new UserError(`--${given} is for making an archive, and -d opens one as it was made; leave one out`, 2);
}

/** Adds `blt compress`. */
export function addCompress(program: Command): void {
  withFileFlags(
    program
      .command('compress')
      .description('store files as FILE.bltz, in the bits that a model gives them; it alone opens them again'),
  )
    .option('-d, --decompress', 'the same as blt decompress')
    .option('--block <bytes>', 'bytes that are coded on their own (8192)', between(whole, 1))
    .option('--places <n>', 'blocks coded side by side in each thread (32)', between(whole, 1, 1024))
    .option(
      '--context <bytes>',
      'most bytes the model looks back (256 where its window is 512 or less, else 1024; or all it takes)',
      between(whole, 2),
    )
    .option(
      '--memory',
      "use the memory of the run's training text too, and learn from the file on the way: smaller archives, about a quarter of the speed; opening them takes both",
    )
    .option('--self-contained', 'put the model into the archive, as BF16')
    .action((files, flags) => {
      if (flags.decompress) refuseForOpening(flags);
      return finishFilesInBestNode(files, flags.decompress ? ARCHIVE : FEW_BYTES, flags, async () => {
        const { compressCommand, decompressCommand } = await import('../commands/compress.ts');
        return flags.decompress ? decompressCommand(files, flags) : compressCommand(files, flags);
      });
    });
}

/** Adds `blt decompress`. */
export function addDecompress(program: Command): void {
  withFileFlags(program.command('decompress').description('open archives of blt compress, FILE.bltz')).action(
    (files, flags) =>
      finishFilesInBestNode(files, ARCHIVE, flags, async () =>
        (await import('../commands/compress.ts')).decompressCommand(files, flags),
      ),
  );
}
