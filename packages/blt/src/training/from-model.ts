/** @file Going on from a model that is trained already: what it decides about a run, and what the run may still choose. */
import { ConfigError } from '../errors.ts';
import type { BltConfig, TransformerConfig } from '../model/config.ts';
import type { PatchingOptions } from '../patching/boundaries.ts';
import { PRESETS, type RunOptions, SIZES } from './sizes.ts';

/** A model that is trained already goes on at this share of the rate of a new one, because more would undo what it has learned. */
export const GOING_ON_LR_SCALE = 0.25;

/** Options that the model decides. */
const DECIDED: readonly (keyof RunOptions)[] = [
  ...(['localWidth', 'localHeads', 'encoderLayers', 'decoderLayers', 'globalWidth', 'globalHeads'] as const),
  ...([
    'globalLayers',
    'k',
    'hashSizes',
    'hashFunctions',
    'hashVocab',
    'hashInit',
    'outputInit',
    'initGlobal',
  ] as const),
];

/** The rules by which a model cuts patches, as options. */
function patchingOptions(p: PatchingOptions): RunOptions {
  const maxPatchLength = p.maxPatchLength ?? undefined;
  if (p.mode === 'bpe')
    throw new ConfigError('a model of bpe patches cannot be gone on with here; give a patching mode');
  if (p.mode === 'static') return { patchingMode: p.mode, patchSize: p.patchSize, maxPatchLength };
  if (p.mode !== 'entropy') return { patchingMode: p.mode, maxPatchLength };
  const { threshold, monotonic, thresholdAdd } = p;
  return { patchingMode: p.mode, threshold, monotonic, thresholdAdd: thresholdAdd ?? undefined, maxPatchLength };
}

/** The model's own patching, without what the options replace. An entropy rule of another kind has another threshold. */
function keptPatching(o: RunOptions, patching: PatchingOptions): RunOptions {
  if (o.patchingMode !== undefined && o.patchingMode !== patching.mode) return {};
  const { threshold, monotonic, thresholdAdd, patchSize, ...mode } = patchingOptions(patching);
  if (patching.mode !== 'entropy') return { ...mode, patchSize };
  const isOther = o.monotonic !== undefined || o.thresholdAdd !== undefined;
  return {
    ...mode,
    ...(!isOther && { monotonic, thresholdAdd }),
    ...(!isOther && o.patchSize === undefined && { threshold }),
  };
}

/**
 * The options of a run that goes on from a model, with what the model decides filled in. Patches are cut as the model cuts them, unless
 * the options say otherwise. Batches and rates are those of the size that is at least as wide.
 * @throws ConfigError listing the options that the model decides
 */
export function optionsOfModel(o: RunOptions, { source, config }: NonNullable<RunOptions['from']>): RunOptions {
  const asked = DECIDED.filter((key) => o[key] !== undefined) as string[];
  if (o.window !== undefined && o.window !== config.window) asked.push('window');
  if (o.behaviour !== undefined && o.behaviour !== config.behaviour) asked.push('behaviour');
  if (asked.length > 0) {
    const names = asked.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    throw new ConfigError(`${names.join(', ')}: the model of ${source} decides that; leave it out`);
  }
  const { window, behaviour, encoder, patching } = config;
  const size = o.size ?? SIZES.find((name) => PRESETS[name].localWidth >= encoder.hiddenSize) ?? SIZES.at(-1);
  const cut = keptPatching(o, patching);
  // A threshold means something for one entropy model alone: a new one is calibrated.
  const threshold = o.threshold ?? (o.entropyModel ? cut.threshold : undefined);
  const given = Object.fromEntries(Object.entries(o).filter(([, value]) => value !== undefined));
  return { ...cut, ...given, threshold, size, window: window ?? undefined, behaviour };
}

/** The configuration of a model trained before, with the patches of this run and room for its rows. */
export function configOfModel(
  { encoder, decoder, global, ...rest }: BltConfig,
  run: {
    readonly patching: PatchingOptions;
    readonly patcher: TransformerConfig | null;
    readonly maxRowBytes: number;
    readonly patchesPerRow: number;
  },
): BltConfig {
  const room = <C extends TransformerConfig>(c: C, positions: number): C => ({
    ...c,
    maxPositionEmbeddings: Math.max(c.maxPositionEmbeddings, positions),
  });
  return {
    ...rest,
    encoder: room(encoder, run.maxRowBytes),
    decoder: room(decoder, run.maxRowBytes),
    global: room(global, run.patchesPerRow),
    patcher: run.patcher,
    patching: run.patching,
  };
}
