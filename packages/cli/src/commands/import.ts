/** @file `blt import`: a model folder of ours from one of another program. */
import type { BltConfig } from '@blt-ts/blt';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { type WeightDtype, writeModelFolder } from '../files/write-model-folder.ts';
import { UserError } from '../terminal/errors.ts';
import { say, sayJson } from '../terminal/output.ts';
import { type ConvertedModel, convertedJson, convertedText } from './converted-model.ts';

/** The flags that `blt import` and `blt export` share. */
export interface ConvertFlags {
  readonly out: string;
  readonly dtype?: 'f32' | 'bf16';
  readonly behaviour?: 'huggingface' | 'facebook';
  readonly json?: boolean;
}

interface ImportFlags extends ConvertFlags {
  readonly window?: number;
  readonly entropyModel?: string;
}

/** The dtype that weights are written in; undefined: that of the file. */
export const dtypeOf = ({ dtype }: ConvertFlags): WeightDtype | undefined =>
  dtype?.toUpperCase() as WeightDtype | undefined;

/** `blt import`: a folder of transformers or of facebookresearch/blt becomes one of ours, tensor by tensor. @returns the exit code */
export async function importCommand(folder: string, flags: ImportFlags): Promise<number> {
  const { config: found, stored, layout } = openModelFolder(folder, { entropyModel: flags.entropyModel });
  const config: BltConfig = {
    ...found,
    behaviour: flags.behaviour ?? found.behaviour,
    window: flags.window === undefined ? found.window : flags.window === 0 ? null : flags.window,
  };
  if (config.behaviour === 'huggingface' && flags.window) {
    throw new UserError(
      `--window ${flags.window} has no meaning under behaviour huggingface, because its layers look back without a limit; leave it out, or give --behaviour facebook`,
      2,
    );
  }
  const written = await writeModelFolder(flags.out, config, stored, { dtype: dtypeOf(flags) });
  const made: ConvertedModel = { ...written, folder: flags.out, layout, config, stored };
  if (flags.json) sayJson(convertedJson(made));
  else say(convertedText(made));
  return 0;
}
