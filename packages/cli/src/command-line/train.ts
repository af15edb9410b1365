/** @file The flags of `blt train`: every row of config/options.ts, and those that are no option of the run. */
import { type Command, Option } from 'commander';
import { flagOf, OPTIONS, type OptionRow, type SectionName } from '../config/options.ts';
import { collect, finishInBestNode, thisNodeOption } from './values.ts';

const GROUPS: Readonly<Partial<Record<SectionName, string>>> = {
  train: 'Training:',
  patcher: 'Patching:',
  model: 'Model:',
  entropy_model: 'Model:',
};

/** The flag that sets an option. Its value stays text: the schema of the config file reads it, and names all problems at once. */
function flagOption(row: OptionRow): Option {
  const letter = row.letter === undefined ? '' : `-${row.letter}, `;
  const value = row.value === undefined ? '' : ` <${row.value}>`;
  const option = new Option(
    `${letter}--${flagOf(row)}${value}`,
    row.default === '' ? row.doc : `${row.doc} (${row.default})`,
  );
  if (row.kind === 'texts') option.argParser(collect);
  if (row.kind === 'choice' && row.section === undefined) option.choices(row.choices!);
  const group = row.section && GROUPS[row.section];
  return group === undefined ? option : option.helpGroup(group);
}

/** Adds `blt train`. */
export function addTrain(program: Command): void {
  const train = program
    .command('train')
    .description(
      'train entropy model and latent transformer on files, folders, patterns or stdin (default: Moby Dick)',
    );
  for (const row of OPTIONS) train.addOption(flagOption(row));
  train
    .option('-c, --config <file>', 'TOML or JSON file; flags win over it')
    .option('--runs <dir>', 'where runs are kept', 'runs')
    .option('--resume <dir>', 'go on with a run that was stopped')
    .option('--dry-run', 'print the plan and stop')
    .option('--json', 'every event as a line of JSON')
    .option('--tensorboard', 'write a TensorBoard event file into the run as well')
    .addOption(thisNodeOption())
    .option('--detect-anomaly', 'check every kernel (slow): stop at the first result that is not a number')
    .action((flags) => finishInBestNode(flags, async () => (await import('../commands/train.ts')).train(flags), true));
}
