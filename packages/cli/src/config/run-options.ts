/** @file A checked config as the options of the library. The two names of a thing stand in one row of options.ts. */
import type { RunOptions } from '@blt-ts/blt';
import type { FileConfig } from './config-schema.ts';
import { OPTIONS, type Option, type OptionRow, type ValueOf } from './options.ts';

/** Weights that a run starts from, opened. */
export type Pretrained = Pick<RunOptions, 'from' | 'initGlobal' | 'entropyModel'>;

/** Options that have one name in the file and one in the library. That they fit is checked here, by the type alone. */
type Shared = {
  [O in Option as O extends { readonly library: infer Name extends string } ? Name : never]?: ValueOf<O>;
};

/** The values of a config under the library's names. */
function sharedOptions(config: FileConfig): Shared {
  const named = (OPTIONS as readonly OptionRow[]).filter(({ library }) => library !== undefined);
  const tree = config as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    named.map(({ section, key, library }) => {
      const values = (section === undefined ? tree : (tree[section] ?? {})) as Readonly<Record<string, unknown>>;
      return [library, values[key]];
    }),
  );
}

/** The options of the library that a config asks for. */
export function runOptions(config: FileConfig, { from, initGlobal, entropyModel }: Pretrained = {}): RunOptions {
  const { on_spike: action, spike_factor: factor = 2, init_global_lr_scale: lrScale } = config.train ?? {};
  return {
    ...sharedOptions(config),
    from,
    entropyModel,
    initGlobal: initGlobal && { ...initGlobal, ...(lrScale === undefined ? {} : { lrScale }) },
    spike: action === 'skip' || action === 'rewind' ? { action, factor } : null,
  };
}
