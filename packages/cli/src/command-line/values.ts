/** @file Values of flags: parsers that refuse in one sentence, flags that several commands share, and the exit code. */
import { InvalidArgumentError, Option } from 'commander';
import { BACKEND_NAMES } from '../config/backend-names.ts';
import { UserError } from '../terminal/errors.ts';
import { exitWhenWritten } from '../terminal/output.ts';
import type { NodeFlags } from '../threads/newer-node.ts';

export const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
};
export const whole = (text: string): number => {
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number >= 0.');
  return value;
};
/** Numbers from `min` to `max`; what they are is said when they are not. */
export const between = (parse: typeof number, min: number, max = Number.POSITIVE_INFINITY) => {
  return (text: string): number => {
    const value = parse(text);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      `expected ${max === Number.POSITIVE_INFINITY ? `${min} or more` : `${min} to ${max}`}.`,
    );
  };
};
export const mass = (text: string): number => {
  const value = number(text);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError('expected a number above 0 and at most 1.');
};
/** Required, but asked for only after unknown flags were answered: `--outt` is to get its suggestion. */
export const needed = <T extends Record<string, unknown>>(flags: T, name: string): T => {
  if (flags[name] === undefined) throw new UserError(`--${name} is missing (add --help for what there is)`, 2);
  return flags;
};
/** A text of which the command takes one, so that the second is not taken in silence for the first. */
export const once = (value: string, previous?: string): string => {
  if (previous === undefined) return value;
  throw new InvalidArgumentError('it is given twice; leave one out.');
};
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

export const RAW = 'use every file byte for byte: unpack nothing, read no .jsonl by lines';

export const backendOption = () =>
  new Option('--backend <name>', 'what computes (auto: a GPU if there is a real one, else wasm)').choices(
    BACKEND_NAMES,
  );
export const threadsOption = () =>
  new Option('--threads <n>', 'CPU threads (all cores)').argParser(between(whole, 1, 256));
export const weightsOption = () =>
  new Option(
    '--weights <format>',
    'matrices in memory: as BF16 where the file has them so, or always f32 or bf16 (rounded)',
  )
    .choices(['stored', 'f32', 'bf16'])
    .default('stored');
export const modelOption = () => new Option('-m, --model <dir>', 'run or checkpoint folder (default: the newest run)');

/** `--memory` and `--no-memory`; neither: the memory is used where it helped on held-out text. */
export const memoryOptions = () => [
  new Option('--memory', "use the run's memory of its training text (default: where it helped on held-out text)"),
  new Option('--no-memory', 'the model alone'),
];

export const dtypeOption = () => new Option('--dtype <type>', 'of the weights written').choices(['f32', 'bf16']);
export const behaviourOption = () =>
  new Option('--behaviour <name>', 'whose masks: facebook has window and documents').choices([
    'facebook',
    'huggingface',
  ]);

export const thisNodeOption = () =>
  new Option('--this-node', 'stay in the Node that runs, even if one with wider vectors is at hand');

/** Bytes of text that are scored or compressed before another Node has started. */
export const FEW_BYTES = 16_000;

/** Runs a command that computes, in the fastest Node at hand, and sets its exit code. @param says which Node, in a line */
export async function finishInBestNode(flags: NodeFlags, here: () => Promise<number>, says = false): Promise<void> {
  const { inWiderNode } = await import('../threads/newer-node.ts');
  finish(await inWiderNode(flags, here, says));
}

/** The same for files, without a word. Where they have fewer bytes than `limit`, this Node is done before another has started. */
export async function finishFilesInBestNode(
  files: readonly string[],
  limit: number,
  flags: NodeFlags,
  here: () => Promise<number>,
): Promise<void> {
  const { fewBytes } = await import('../threads/newer-node.ts');
  return finishInBestNode({ ...flags, thisNode: flags.thisNode || fewBytes(files, limit) }, here);
}

/** Sets the exit code of a command that ran to its end. */
export const finish = (code: number): void => {
  process.exitCode = code;
  // Stopped by a signal: whoever waits at the prompt does not wait for compressors that still run.
  if (code > 128) exitWhenWritten();
};
