/** @file A model folder that was written, as `blt import` and `blt export` tell of it. */
import type { BltConfig, StoredTensors } from '@blt-ts/blt';
import { humanBytes, humanCount } from '../terminal/human-units.ts';

/** A model as it was found and as it was written. */
export interface ConvertedModel {
  readonly folder: string;
  readonly dtype: string;
  /** Of the weights. */
  readonly bytes: number;
  /** Files of weights. */
  readonly files: readonly string[];
  /** The library in whose layout it was. */
  readonly layout: string;
  readonly config: BltConfig;
  /** Its tensors as they were found. */
  readonly stored: StoredTensors;
}

const parametersOf = ({ stored }: ConvertedModel): number =>
  [...stored.values()].reduce((n, t) => n + t.shape.reduce((a, b) => a * b, 1), 0);

/** The JSON of `--json`. */
export const convertedJson = (made: ConvertedModel): Record<string, unknown> => ({
  folder: made.folder,
  parameters: parametersOf(made),
  dtype: made.dtype,
  bytes: made.bytes,
  files: made.files,
  layout: made.layout,
  behaviour: made.config.behaviour,
  window: made.config.window,
});

/** The same in a line. */
export function convertedText(made: ConvertedModel): string {
  const { folder, dtype, bytes, files, layout, config } = made;
  const window = config.behaviour === 'facebook' && config.window !== null ? `, window ${config.window}` : '';
  return (
    `${folder}: ${humanCount(parametersOf(made))} parameters as ${dtype}, ${humanBytes(bytes)} in ${files.length} ${files.length === 1 ? 'file' : 'files'}; ` +
    `read as ${layout} layout, behaviour ${config.behaviour}${window}`
  );
}
