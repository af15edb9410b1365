/** @file The flags of `blt import` and `blt export`. */
import type { Command } from 'commander';
import { behaviourOption, between, dtypeOption, finish, modelOption, needed, whole } from './values.ts';

/** Adds `blt import`. */
export function addImport(program: Command): void {
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
      finish(await (await import('../commands/import.ts')).importCommand(path, needed(flags, 'out'))),
    );
}

/** Adds `blt export`. */
export function addExport(program: Command): void {
  program
    .command('export')
    .description('write a run or checkpoint so that transformers opens it: weights, tokenizer, model card')
    .addOption(modelOption())
    .option('-o, --out <dir>', 'folder to make (required)')
    .option('--shard-size <bytes>', 'most bytes in one file', between(whole, 1))
    .addOption(behaviourOption())
    .addOption(dtypeOption())
    .option('--json', 'one JSON object')
    .action(async (flags) => finish(await (await import('../commands/export.ts')).exportCommand(needed(flags, 'out'))));
}
