/** @file `blt import` and `blt export`: model folders from and for other programs. */
import { forTransformers, transformersDiffers } from '@blt-ts/blt';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { type WeightDtype, writeModelFolder } from '../files/write-model-folder.ts';
import { findModel, newestRun } from '../run/find-model.ts';
import { humanBytes, humanCount } from '../terminal/human-units.ts';
import { say, sayJson } from '../terminal/output.ts';

export interface ConvertFlags {
  readonly out: string;
  readonly dtype?: 'f32' | 'bf16';
  readonly shardSize?: number;
  readonly behaviour?: 'huggingface' | 'facebook';
  readonly window?: number;
  readonly entropyModel?: string;
  readonly json?: boolean;
}

/** A checkpoint of either layout into a folder of the Hugging Face layout, tensor by tensor. @returns the exit code */
async function convert(folder: string, flags: ConvertFlags, leaving = false): Promise<number> {
  const opened = openModelFolder(folder, { entropyModel: flags.entropyModel });
  const own = {
    ...opened.config,
    ...(flags.behaviour ? { behaviour: flags.behaviour } : {}),
    ...(flags.window === undefined ? {} : { window: flags.window === 0 ? null : flags.window }),
  };
  const { config, stored } = leaving ? forTransformers(own, opened.stored) : { config: own, stored: opened.stored };
  const { dtype, files, bytes } = await writeModelFolder(flags.out, config, stored, {
    dtype: flags.dtype?.toUpperCase() as WeightDtype | undefined,
    shardBytes: flags.shardSize,
  });
  const values = [...opened.stored.values()].reduce((n, t) => n + t.shape.reduce((a, b) => a * b, 1), 0);
  if (flags.json) {
    const { behaviour, window } = config;
    const made = {
      folder: flags.out,
      parameters: values,
      dtype,
      bytes,
      files,
      layout: opened.layout,
      behaviour,
      window,
      ...(leaving ? { differs: transformersDiffers(own) } : {}),
    };
    sayJson(made);
    return 0;
  }
  const window = config.behaviour === 'facebook' && config.window !== null ? `, window ${config.window}` : '';
  say(
    `${flags.out}: ${humanCount(values)} parameters as ${dtype}, ${humanBytes(bytes)} in ${files.length} ${files.length === 1 ? 'file' : 'files'}; ` +
      `read as ${opened.layout} layout, behaviour ${config.behaviour}${window}`,
  );
  if (leaving) for (const note of transformersDiffers(own)) say(`transformers: ${note}`);
  return 0;
}

/** `blt import`: a folder of transformers or of facebookresearch/blt becomes one of ours. @returns the exit code */
export const importCommand = (folder: string, flags: ConvertFlags): Promise<number> => convert(folder, flags);

/** `blt export`: a run or checkpoint becomes a folder that `BltForCausalLM.from_pretrained` opens. @returns the exit code */
export const exportCommand = async (flags: ConvertFlags & { readonly model?: string }): Promise<number> =>
  convert(await findModel(flags.model ?? (await newestRun())), flags, true);
