/** @file The command `blt`: its commands and flags, and what becomes of an error. What a command does is loaded when it runs. */
import { Command, CommanderError } from 'commander';
import { addCompare } from './command-line/compare.ts';
import { addCompletions } from './command-line/completions.ts';
import { addCompress, addDecompress } from './command-line/compress.ts';
import { addDoctor } from './command-line/doctor.ts';
import { addEval } from './command-line/eval.ts';
import { excessWords } from './command-line/excess.ts';
import { addGenerate } from './command-line/generate.ts';
import { addExport, addImport } from './command-line/import-export.ts';
import { addInspect } from './command-line/inspect.ts';
import { addPatch } from './command-line/patch.ts';
import { addPlay } from './command-line/play.ts';
import { addPrepare } from './command-line/prepare.ts';
import { addRuns } from './command-line/runs.ts';
import { addScore } from './command-line/score.ts';
import { addServe } from './command-line/serve.ts';
import { addStudy } from './command-line/study.ts';
import { addSweep } from './command-line/sweep.ts';
import { runThread } from './command-line/thread-programs.ts';
import { addTrace } from './command-line/trace.ts';
import { addTrain } from './command-line/train.ts';
import { meaningOf, ourNames } from './config/aliases.ts';
import { watchOutput } from './terminal/broken-output.ts';
import { outOfMemory, printableMessage, systemFailure, UserError } from './terminal/errors.ts';
import { complain, setQuiet } from './terminal/output.ts';
import { threadName } from './threads/own-thread.ts';
import { VERSION_AND_COMMIT } from './version.ts';

const program = new Command('blt')
  .description('The Byte Latent Transformer: train it on any bytes, look at its patches, generate.')
  .version(VERSION_AND_COMMIT)
  .showHelpAfterError('(add --help for what there is)')
  .exitOverride()
  .configureOutput({
    writeErr: (text) => void process.stderr.write(printableMessage(text)),
    outputError: (text, write) => write(withReason(text)),
  });

/**
 * A refused word is named, with the flag that was meant. A refused option of another program gets the name that it has here, in place of the
 * one that is spelt most like it.
 */
function withReason(text: string): string {
  const command = program.commands.find((one) => one.name() === process.argv[2]);
  if (command === undefined) return text;
  const excess = text.includes('too many arguments') ? excessWords(command, process.argv.slice(3)) : undefined;
  if (excess !== undefined) return `error: ${excess}\n`;
  const theirs = /unknown option '--([\w-]+)/.exec(text)?.[1];
  if (theirs === undefined) return text;
  const ours = ourNames(theirs, (key) => command.options.some(({ long }) => long === `--${key.replaceAll('_', '-')}`));
  if (ours.length === 0) return text;
  const names = ours.map((key) => `--${key.replaceAll('_', '-')}`).join(' or ');
  return `${text.replace(/\n?\(Did you mean .*\?\)/, '').trimEnd()}\n(Did you mean ${names}${meaningOf(theirs.replaceAll('-', '_'))}?)\n`;
}

/** In the order of the help. */
const COMMANDS = [
  addTrain,
  addPrepare,
  addGenerate,
  addPatch,
  addEval,
  addScore,
  addInspect,
  addCompress,
  addDecompress,
  addPlay,
  addServe,
  addImport,
  addExport,
  addTrace,
  addRuns,
  addCompare,
  addSweep,
  addStudy,
  addDoctor,
  addCompletions,
];
for (const add of COMMANDS) add(program);
for (const command of program.commands) {
  command.option('-q, --quiet', 'no notes, no progress: results, warnings and errors alone');
}
program.hook('preAction', (_, command) => setQuiet(command.opts().quiet === true));

/** Errors of the libraries whose message is meant for the user. */
const EXPECTED = new Set([
  'ArchiveError',
  'ConfigError',
  'SafetensorsError',
  'ShapeError',
  'RangeError',
  'NonFiniteError',
  'DeviceError',
]);

/** Says what went wrong. @returns the exit code */
function failed(error: unknown): number {
  if (error instanceof UserError) {
    complain(error.message);
    return error.exitCode;
  }
  // Commander has said it.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const expected = error instanceof Error && (EXPECTED.has(error.name) || error.message.startsWith('out of memory'));
  if (expected) complain(outOfMemory(error) ?? error.message);
  else complain(systemFailure(error) ?? `this is a bug: ${error instanceof Error ? error.stack : String(error)}`);
  return 1;
}

if (threadName) await runThread(threadName);
else {
  watchOutput();
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = failed(error);
  }
}
