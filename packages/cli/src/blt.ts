import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { meaningOf, ourNames } from './config/aliases.ts';
import { BACKEND_NAMES } from './config/backend-names.ts';
import { watchOutput } from './terminal/broken-output.ts';
import { outOfMemory, printableMessage, systemFailure, UserError } from './terminal/errors.ts';
import { complain, exitWhenWritten, setQuiet } from './terminal/output.ts';
import { VERSION } from './version.ts';

const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
};
const whole = (text: string): number => {
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number >= 0.');
  return value;
};
/** Numbers from `min` to `max`; what they are is said when they are not. */
const between = (parse: typeof number, min: number, max = Number.POSITIVE_INFINITY) => {
  return (text: string): number => {
    const value = parse(text);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      `expected ${max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`}.`,
    );
  };
};
const mass = (text: string): number => {
  const value = number(text);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError('expected a number above 0 and at most 1.');
};
/** Required, but asked for only after unknown flags were answered: `--outt` is to get its suggestion. */
const needed = <T extends Record<string, unknown>>(flags: T, name: string): T => {
  if (flags[name] === undefined) throw new UserError(`--${name} is missing (add --help for what there is)`, 2);
  return flags;
};
const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

const RAW = 'use every file byte for byte: unpack nothing, read no .jsonl by lines';

const backendOption = () =>
  new Option('--backend <name>', 'what computes (auto: a GPU if there is a real one, else wasm)').choices(
    BACKEND_NAMES,
  );
const threadsOption = () => new Option('--threads <n>', 'CPU threads (all cores)').argParser(between(whole, 1, 256));
const modelOption = () => new Option('-m, --model <dir>', 'run or checkpoint folder (default: the newest run)');

const program = new Command('blt')
  .description('The Byte Latent Transformer: train it on any bytes, look at its patches, generate.')
  .version(VERSION)
  .showHelpAfterError('(add --help for what there is)')
  .exitOverride()
  .configureOutput({
    writeErr: (text) => void process.stderr.write(printableMessage(text)),
    outputError: (text, write) => write(withOurName(text)),
  });

/** A refused option of another program gets the name that it has here, in place of the one that is spelt most like it. */
function withOurName(text: string): string {
  const theirs = /unknown option '--([\w-]+)/.exec(text)?.[1];
  const command = program.commands.find((one) => one.name() === process.argv[2]);
  if (theirs === undefined || command === undefined) return text;
  const ours = ourNames(theirs, (key) => command.options.some(({ long }) => long === `--${key.replaceAll('_', '-')}`));
  if (ours.length === 0) return text;
  const names = ours.map((key) => `--${key.replaceAll('_', '-')}`).join(' or ');
  return `${text.replace(/\n?\(Did you mean .*\?\)/, '').trimEnd()}\n(Did you mean ${names}${meaningOf(theirs.replaceAll('-', '_'))}?)\n`;
}

const finish = (code: number): void => {
  process.exitCode = code;
  // Stopped by a signal: whoever waits at the prompt does not wait for compressors that still run.
  if (code > 128) exitWhenWritten();
};

// The flags of `train` are the keys of the config file; the schema is loaded only when the command runs.
const train = program
  .command('train')
  .description('train entropy model and latent transformer on files, folders, patterns or stdin (default: Moby Dick)')
  .option('-d, --data <path>', 'file, folder, pattern, .jsonl, .gz, .tar, or - for stdin; may be repeated', collect)
  .option('--held-out <path>', 'text to evaluate on instead of a part of the data; may be repeated', collect)
  .option('--held-out-fraction <share>', 'share of the data kept for evaluation (0.1)')
  .option(
    '--split <how>',
    'what is kept: whole documents, tails (the end of each), or the end of the data; auto: documents if there are many, else tails (auto)',
  )
  .option('--dedupe', 'leave out training documents that repeat one another or held-out text')
  .option('--text-field <name>', 'field of .jsonl lines that holds the text')
  .option('--raw', RAW)
  .option('--prepared <dir>', 'entropies and patches that blt prepare made of this data')
  .addOption(new Option('-s, --size <size>', 'the one dial').choices(['nano', 'tiny', 'small', 'base']))
  .option('-c, --config <file>', 'TOML or JSON file; flags win over it')
  .option('--run <name>', 'folder under runs/ (default: size and a number)')
  .option('--runs <dir>', 'where runs are kept', 'runs')
  .option('--resume <dir>', 'go on with a run that was stopped')
  .option('--dry-run', 'print the plan and stop')
  .option('--json', 'every event as a line of JSON')
  .option('--tensorboard', 'write a TensorBoard event file into the run as well')
  .option('--detect-anomaly', 'check every kernel (slow): stop at the first result that is not a number')
  .option('--seed <n>', 'same seed, same bits (0)')
  .addOption(backendOption())
  .option('--threads <n>', 'CPU threads (all cores)');

const group = (title: string, options: [flags: string, description: string][]) => {
  for (const [flags, description] of options) train.addOption(new Option(flags, description).helpGroup(title));
};
group('Training:', [
  ['--steps <n>', 'updates of the model'],
  ['--batch-size <rows>', 'rows per step'],
  ['--row-bytes <n>', 'bytes per row'],
  ['--patches-per-row <n>', 'patches per row, instead of --row-bytes'],
  ['--lr <rate>', 'peak learning rate'],
  ['--init-global-lr-scale <share>', 'share of it for the weights of --init-global (0.1)'],
  ['--warmup-steps <n>', 'steps of linear warm-up'],
  ['--lr-min-ratio <share>', 'final rate as a share of the peak'],
  ['--weight-decay <rate>', 'AdamW weight decay'],
  ['--grad-clip <norm>', 'largest global gradient norm, 0 = none'],
  ['--grad-accumulation <n>', 'forward passes per update'],
  ['--recompute', 'less memory for a third more time: for long rows'],
  ['--hash-init <share>', 'initial std of the hash tables as a share of the released models'],
  ['--dropout <rate>', 'dropout of the residual stream'],
  ['--hash-dropout <rate>', 'share of hash rows left out'],
  ['--ema <decay>', 'evaluate averaged weights, e.g. 0.999'],
  ['--minutes <n>', 'time budget: whichever of this and --steps ends first'],
  ['--eval-every <steps>', 'steps between held-out evaluations, 0 = only at the end'],
  ['--save-every <steps>', 'steps between saves beside those of evaluations'],
  ['--keep-last <n>', 'saved steps to keep beside the best (1)'],
  ['--sample-every <steps>', 'steps between sample texts, 0 = only at the end'],
  ['--on-spike <action>', 'a batch whose loss stands out: ignore, skip it, or rewind to the last save (ignore)'],
  ['--spike-factor <x>', 'how many times the average loss stands out (2)'],
  ['--patience <n>', 'stop after so many evaluations without a new best, 0 = never'],
]);
group('Patching:', [
  ['--patching-mode <mode>', 'entropy, space, static or byte'],
  ['--patch-size <bytes>', 'mean bytes per patch (entropy: the threshold is found for it)'],
  ['--threshold <nats>', 'entropy threshold, instead of --patch-size'],
  ['--monotonic', 'compare the rise of the entropy'],
  ['--threshold-add <nats>', 'demand this rise as well'],
  ['--max-patch-length <bytes>', 'longest patch'],
]);
group('Model:', [
  ['--local-width <n>', ''],
  ['--local-heads <n>', ''],
  ['--encoder-layers <n>', ''],
  ['--decoder-layers <n>', ''],
  ['--global-width <n>', ''],
  ['--global-heads <n>', ''],
  ['--global-layers <n>', ''],
  ['--k <n>', 'rows per patch in the cross-attentions'],
  ['--hash-sizes <list>', 'n-gram sizes, e.g. 3,4,5,6,7,8; "" = none'],
  ['--hash-functions <n>', ''],
  ['--hash-vocab <rows>', 'rows per hash table'],
  ['--window <bytes>', 'bytes a local layer looks back'],
  ['--behaviour <name>', 'facebook (window, documents) or huggingface: as transformers computes (facebook)'],
  ['--entropy-width <n>', ''],
  ['--entropy-heads <n>', ''],
  ['--entropy-layers <n>', ''],
  ['--entropy-steps <n>', ''],
  ['--entropy-model <dir>', 'run or checkpoint whose entropy model is used as it is'],
  ['--init-global <dir>', 'Llama of transformers whose blocks the global transformer starts with'],
]);
train.action(async (flags) => finish(await (await import('./commands/train.ts')).train(flags)));

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
  .option('--monotonic', 'compare the rise of the entropy')
  .option('--threshold-add <nats>', 'demand this rise as well', number)
  .option('--patch-size <bytes>', 'bytes per patch, mode static', between(whole, 1))
  .option('--max-patch-length <bytes>', 'longest patch', between(whole, 1))
  .option('--shard <i/n>', 'make part i of n', '1/1')
  .option('-o, --out <dir>', 'folder of the shards (required)')
  .addOption(threadsOption())
  .option('--json', 'every event as a line of JSON')
  .action(async (flags) => finish(await (await import('./commands/prepare.ts')).prepareCommand(needed(flags, 'out'))));

program
  .command('generate')
  .description('continue a prompt, byte by byte')
  .addOption(modelOption())
  .option('-p, --prompt <text>', 'what to continue; - reads it from stdin')
  .option('-n, --max-bytes <n>', 'most bytes to make', whole, 200)
  .option('-t, --temperature <t>', '0 = always the likeliest byte', between(number, 0), 0.8)
  .option('--top-k <n>', 'choose among the n likeliest bytes', between(whole, 1))
  .option('--top-p <mass>', 'choose among the likeliest bytes of this total probability', mass)
  .option('--seed <n>', 'same seed, same text', between(whole, 0, 2 ** 32 - 1), 0)
  .option('--stop <text>', 'end after this text')
  .option('--ignore-eos', 'go on after the end of the document')
  .option(
    '--context <bytes>',
    'most bytes the model looks back (512, or all it takes if that is less)',
    between(whole, 2),
  )
  .option('--draft <bytes>', 'draft so many bytes ahead and check them in one pass; the text stays the same', whole, 0)
  .addOption(
    new Option(
      '--weights <format>',
      'matrices in memory: as BF16 where the file has them so, or always f32 or bf16 (rounded)',
    )
      .choices(['stored', 'f32', 'bf16'])
      .default('stored'),
  )
  .option('--json', 'one JSON object')
  .addOption(backendOption())
  .addOption(threadsOption())
  .action(async (flags) => finish(await (await import('./commands/generate.ts')).generateCommand(flags)));

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
  .option('--monotonic', 'compare the rise of the entropy')
  .option('--threshold-add <nats>', 'demand this rise as well', number)
  .option('--patch-size <bytes>', 'bytes per patch, mode static', between(whole, 1))
  .option('--max-patch-length <bytes>', 'longest patch', between(whole, 1))
  .option('--max-bytes <n>', 'cut at most so many bytes of each file', whole, 20_000)
  .option('--text-field <name>', 'field of .jsonl lines that holds the text')
  .option('--raw', RAW)
  .option('--json', 'one JSON object a file: lengths, entropies, threshold')
  .option('--html <file>', 'write a page with the entropy curve')
  .addOption(backendOption())
  .addOption(threadsOption())
  .action(async (files, flags) => finish(await (await import('./commands/patch.ts')).patchCommand(files, flags)));

program
  .command('eval')
  .description('bits per byte on held-out text, beside compressors')
  .addOption(modelOption())
  .option('-d, --data <path>', 'evaluate on this (default: the held-out part of the run)', collect)
  .option('--text-field <name>', 'field of .jsonl lines that holds the text')
  .option('--raw', RAW)
  .option('--row-bytes <n>', 'context', between(whole, 2), 512)
  .option('--json', 'one JSON object')
  .addOption(backendOption())
  .addOption(threadsOption())
  .action(async (flags) => finish(await (await import('./commands/eval.ts')).evalCommand(flags)));

program
  .command('inspect [dir]')
  .description('what a model folder holds')
  .option('--plan', 'names, shapes and memory needed, without loading; takes a list of keys and shapes too')
  .option('--tensors', 'list every tensor')
  .option('--json', 'one JSON object')
  .action(async (path, flags) => finish(await (await import('./commands/inspect.ts')).inspectCommand(path, flags)));

program
  .command('play')
  .description('a page in the browser: patches while you type, training, generation, kernels; or write it with --build')
  .addOption(new Option('-m, --model <dir>', 'run or checkpoint folder to load'))
  .option('--port <n>', 'port on this machine (8258, or any free one)', between(whole, 0, 65_535))
  .option('--no-open', 'do not open a browser')
  .option('--build <dir>', 'write the page to a folder for a web host, and stop')
  .action(async (flags) => finish(await (await import('./commands/play.ts')).playCommand(flags)));

const dtypeOption = () => new Option('--dtype <type>', 'of the weights written').choices(['f32', 'bf16']);
const behaviourOption = () =>
  new Option('--behaviour <name>', 'whose masks: facebook has window and documents').choices([
    'facebook',
    'huggingface',
  ]);

program
  .command('import <dir>')
  .description('turn a checkpoint of transformers or of facebookresearch/blt into a model folder')
  .option('-o, --out <dir>', 'folder to make (required)')
  .option('--entropy-model <dir>', "Facebook's entropy model, if it is not in entropy_model/")
  .option('--window <bytes>', 'local attention window, 0 = none', whole)
  .addOption(behaviourOption())
  .addOption(dtypeOption())
  .option('--json', 'one JSON object')
  .action(async (path, flags) =>
    finish(await (await import('./commands/import.ts')).importCommand(path, needed(flags, 'out'))),
  );

program
  .command('export')
  .description('write a run or checkpoint so that transformers opens it')
  .addOption(modelOption())
  .option('-o, --out <dir>', 'folder to make (required)')
  .option('--shard-size <bytes>', 'most bytes in one file', between(whole, 1))
  .addOption(behaviourOption())
  .addOption(dtypeOption())
  .option('--json', 'one JSON object')
  .action(async (flags) => finish(await (await import('./commands/import.ts')).exportCommand(needed(flags, 'out'))));

program
  .command('trace')
  .description('entropies, logits and gradients for given ids, to compare implementations')
  .addOption(modelOption())
  .option('--ids <file>', '(required) JSON: {"input_ids": [[1, 76, ...], ...]}')
  .option('--threshold <nats>', 'entropy threshold instead of the one stored', number)
  .option('--grads', 'also the gradient of the mean next-byte loss for every tensor')
  .addOption(behaviourOption())
  .option('-o, --out <file>', 'safetensors file to write (required)')
  .addOption(backendOption())
  .addOption(threadsOption())
  .action(async (flags) =>
    finish(await (await import('./commands/trace.ts')).traceCommand(needed(needed(flags, 'ids'), 'out'))),
  );

program
  .command('runs')
  .description('list runs: state, step, best figure')
  .option('--runs <dir>', 'where runs are kept', 'runs')
  .option('--json', 'one JSON object')
  .action(async (flags) => finish(await (await import('./commands/runs.ts')).runsCommand(flags)));

program
  .command('compare <run...>')
  .description('learning curves of runs side by side, in one HTML page')
  .option('--html <file>', 'the page to write', 'compare.html')
  .option('--json', 'one JSON object, and no page')
  .action(async (paths, flags) => finish(await (await import('./commands/compare.ts')).compareCommand(paths, flags)));

program
  .command('doctor')
  .description('test every backend on this machine; say what will be used and why')
  .option('--json', 'one JSON object')
  .action(async (flags) => finish(await (await import('./commands/doctor.ts')).doctorCommand(flags)));

for (const command of program.commands) {
  command.option('-q, --quiet', 'no notes, no progress: results, warnings and errors alone');
}
program.hook('preAction', (_, command) => setQuiet(command.opts().quiet === true));

/** Errors of the libraries whose message is meant for the user. */
const EXPECTED = new Set([
  'ConfigError',
  'SafetensorsError',
  'ShapeError',
  'RangeError',
  'NonFiniteError',
  'DeviceError',
]);

watchOutput();
try {
  await program.parseAsync();
} catch (error) {
  const refused = systemFailure(error);
  if (error instanceof UserError) {
    complain(error.message);
    process.exitCode = error.exitCode;
  } else if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof Error && (EXPECTED.has(error.name) || error.message.startsWith('out of memory'))) {
    complain(outOfMemory(error) ?? error.message);
    process.exitCode = 1;
  } else if (refused !== undefined) {
    complain(refused);
    process.exitCode = 1;
  } else {
    complain(`this is a bug: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
  }
}
