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
    .option('-c, --config <file>', 'TOML or JSON file, see below; flags win over it')
    .option('--runs <dir>', 'where runs are kept', 'runs')
    .option('--resume <dir>', 'go on with a run that was stopped')
    .option('--dry-run', 'print the plan and stop')
    .option('--json', 'every event as a line of JSON')
    .option('--tensorboard', 'write a TensorBoard event file into the run as well')
    .addOption(thisNodeOption())
    .option('--detect-anomaly', 'check every kernel (slow): stop at the first result that is not a number')
    .addHelpText('after', configHelp)
    .action((flags) => finishInBestNode(flags, async () => (await import('../commands/train.ts')).train(flags), true));
}

/** Longest line of the help. */
const WIDTH = 100;

/** The form of a config file: each section and its keys. */
function configHelp(): string {
  const rows: readonly OptionRow[] = OPTIONS;
  const blocks = [...new Set([undefined, ...rows.map(({ section }) => section)])].map((section) => {
    const keys = rows.filter((row) => row.section === section).map(({ key }) => key);
    return `${section === undefined ? '' : `  [${section}]\n`}${wrapped(keys)}`;
  });
  return `
A config file has these keys. Those of no section come first, as in

  seed = 2
  [train]
  steps = 500

JSON has an object for each section: {"seed": 2, "train": {"steps": 500}}.

${blocks.join('\n')}`;
}

/** Words with commas between them, on lines that are not too long. */
function wrapped(words: readonly string[]): string {
  const lines = [''];
  for (const word of words) {
    const last = lines[lines.length - 1];
    if (last !== '' && last.length + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last}, ${word}`;
  }
  return lines.map((line) => `    ${line}`).join('\n');
}
