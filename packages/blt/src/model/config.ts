/** @file The configuration of a model: everything that decides its shapes and its arithmetic, and the check that it makes sense. */
import { ConfigError } from '../errors.ts';
import { boundaryRule, type PatchingOptions } from '../patching/boundaries.ts';
import { VOCAB_SIZE } from '../patching/vocabulary.ts';
import { HASH_PRIMES, MAX_NGRAM, MAX_ROWS, MAX_VOCAB } from './hashing.ts';

/** A stack of transformer blocks. */
export interface TransformerConfig {
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Key/value heads; numAttentionHeads / numKeyValueHeads query heads share one. */
  readonly numKeyValueHeads: number;
  /** Hidden width of the feed-forward layer. Always stored, never recomputed. */
  readonly intermediateSize: number;
  /** Longest row in positions: bytes for the local models, patches for the global one. */
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
}

/** A local model, encoder or decoder: a stack over bytes with cross-attention to patches. */
export interface LocalConfig extends TransformerConfig {
  /** Cross-attention at every layer, or only after the last one (encoder) or before the first one (decoder). */
  readonly crossAttnAllLayers: boolean;
}

/** The hash tables of n-gram embeddings. */
export interface HashConfig {
  /** n-gram sizes in bytes */
  readonly groupSizes: readonly number[];
  /** hash functions per n-gram size */
  readonly functions: number;
  /** rows per table; there are functions * groupSizes.length tables */
  readonly vocab: number;
}

/**
 * The two public implementations of BLT, which differ in this.
 * - `facebook`: local attention sees a window of bytes, nothing is seen across documents; an encoder with cross-attention at all
 *   layers pools once and refines the patch queries.
 * - `huggingface`: plain causal attention; such an encoder pools anew at every layer.
 */
export type Behaviour = 'facebook' | 'huggingface';

/** Everything that decides a model's shapes and arithmetic. */
export interface BltConfig {
  readonly vocabSize: number;
  readonly behaviour: Behaviour;
  /** Bytes a local layer looks back, itself included (behaviour `facebook`; null = no limit). */
  readonly window: number | null;
  readonly encoder: LocalConfig;
  readonly global: TransformerConfig;
  readonly decoder: LocalConfig;
  /** The entropy model; null where patches do not need one. */
  readonly patcher: TransformerConfig | null;
  /** Rows per patch in the cross-attentions, k. */
  readonly crossAttnK: number;
  readonly hash: HashConfig;
  readonly patching: PatchingOptions;
}

/**
 * The feed-forward width of the released models: 2/3 of 4 d, rounded up to a multiple.
 * @param multiplier applied before rounding (1 in all released models)
 */
export function feedForwardWidth(hiddenSize: number, multipleOf = 256, multiplier = 1): number {
  return multipleOf * Math.ceil(Math.trunc(multiplier * Math.trunc((2 * 4 * hiddenSize) / 3)) / multipleOf);
}

/** A stack with the constants of the released models, around the few sizes that vary. */
export function transformerConfig(
  sizes: Pick<TransformerConfig, 'hiddenSize' | 'numHiddenLayers' | 'numAttentionHeads'> & Partial<TransformerConfig>,
): TransformerConfig {
  return {
    numKeyValueHeads: sizes.numAttentionHeads,
    intermediateSize: feedForwardWidth(sizes.hiddenSize, sizes.hiddenSize >= 512 ? 256 : 32),
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-5,
    ropeTheta: 500_000,
    ...sizes,
  };
}

/** Width of all key heads of a row, and of all value heads. */
export const keyValueWidth = (c: TransformerConfig): number =>
  (c.hiddenSize / c.numAttentionHeads) * c.numKeyValueHeads;

/** Limits for configurations from files, far above any model. */
const MAX_LAYERS = 1024;
const MAX_GROUP_SIZES = 64;

const positive = (path: string, value: number): void => {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ConfigError(`${path} must be a whole number >= 1, got ${value}`);
  }
};

const atMost = (path: string, value: number, most: number): void => {
  if (value > most) throw new ConfigError(`${path} must be at most ${most}, got ${value}`);
};

function checkTransformer(path: string, c: TransformerConfig): void {
  for (const key of [
    'hiddenSize',
    'numHiddenLayers',
    'numAttentionHeads',
    'numKeyValueHeads',
    'intermediateSize',
    'maxPositionEmbeddings',
  ] as const) {
    positive(`${path}.${key}`, c[key]);
  }
  // A number from a file must not make a plan of a billion tensors before anything is compared with the weights.
  if (c.numHiddenLayers > MAX_LAYERS) {
    throw new ConfigError(`${path}.numHiddenLayers must be at most ${MAX_LAYERS}, got ${c.numHiddenLayers}`);
  }
  if (c.hiddenSize % c.numAttentionHeads !== 0) {
    throw new ConfigError(
      `${path}: hiddenSize ${c.hiddenSize} is not a multiple of numAttentionHeads ${c.numAttentionHeads}; change one of them`,
    );
  }
  if ((c.hiddenSize / c.numAttentionHeads) % 2 !== 0) {
    throw new ConfigError(
      `${path}: head size ${c.hiddenSize / c.numAttentionHeads} (hiddenSize ${c.hiddenSize} / ${c.numAttentionHeads} heads) must be even for rotary positions`,
    );
  }
  if (c.numAttentionHeads % c.numKeyValueHeads !== 0) {
    throw new ConfigError(
      `${path}: numAttentionHeads ${c.numAttentionHeads} is not a multiple of numKeyValueHeads ${c.numKeyValueHeads}; change one of them`,
    );
  }
  for (const key of ['rmsNormEps', 'ropeTheta'] as const) {
    if (!(c[key] > 0)) throw new ConfigError(`${path}.${key} must be > 0, got ${c[key]}`);
    if (c[key] === Number.POSITIVE_INFINITY) throw new ConfigError(`${path}.${key} must be finite, got ${c[key]}`);
  }
}

/** @throws ConfigError naming the first thing that does not fit */
export function validateConfig(config: BltConfig): void {
  if (config.vocabSize !== VOCAB_SIZE) {
    throw new ConfigError(`vocabSize must be ${VOCAB_SIZE} (256 bytes and 4 specials), got ${config.vocabSize}`);
  }
  checkTransformer('encoder', config.encoder);
  checkTransformer('decoder', config.decoder);
  checkTransformer('global', config.global);
  if (config.patcher) checkTransformer('patcher', config.patcher);
  positive('crossAttnK', config.crossAttnK);
  if (config.encoder.hiddenSize !== config.decoder.hiddenSize) {
    throw new ConfigError(
      `encoder.hiddenSize ${config.encoder.hiddenSize} and decoder.hiddenSize ${config.decoder.hiddenSize} must be equal: the decoder starts from the encoder's byte states`,
    );
  }
  if (config.window !== null) positive('window', config.window);
  positive('hash.functions', config.hash.functions);
  if (config.hash.functions > HASH_PRIMES.length) {
    throw new ConfigError(`hash.functions must be at most ${HASH_PRIMES.length}, got ${config.hash.functions}`);
  }
  if (config.hash.groupSizes.length > MAX_GROUP_SIZES) {
    throw new ConfigError(`hash.groupSizes may list ${MAX_GROUP_SIZES} sizes, got ${config.hash.groupSizes.length}`);
  }
  if (config.hash.groupSizes.length > 0) positive('hash.vocab', config.hash.vocab);
  const { functions, groupSizes, vocab } = config.hash;
  for (const size of groupSizes) {
    positive('hash.groupSizes', size);
    atMost('hash.groupSizes', size, MAX_NGRAM);
  }
  atMost('hash.vocab', vocab, MAX_VOCAB);
  atMost('rows of all hash tables', functions * groupSizes.length * vocab, MAX_ROWS);
  if (config.patching.mode === 'entropy' && !config.patcher) {
    throw new ConfigError("patching by entropy needs an entropy model; give `patcher`, or choose mode 'space'");
  }
  try {
    boundaryRule(config.patching);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

/** The most ids (BOS included) that a model reads at once. */
export const longestText = ({ encoder, decoder }: BltConfig): number =>
  Math.min(encoder.maxPositionEmbeddings, decoder.maxPositionEmbeddings);

/** The most ids (BOS included) that a model reads at once however they are cut: no text has more patches than ids. */
export const surelyRead = (config: BltConfig): number =>
  Math.min(longestText(config), config.global.maxPositionEmbeddings);

/** The behaviour as layouts take it: the window, and whether documents are apart. */
export function layoutOptions(config: BltConfig): { k: number; window: number | null; documents: boolean } {
  const facebook = config.behaviour === 'facebook';
  return { k: config.crossAttnK, window: facebook ? config.window : null, documents: facebook };
}
