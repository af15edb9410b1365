/**
 * @file An entropy model by itself in one safetensors file: the tensors under their Hugging Face names, and what is needed to run
 * them in the metadata. The page ships one; a checkpoint's own travels from worker to worker this way.
 */
import {
  type BltConfig,
  ConfigError,
  countValues,
  type EntropyModelParams,
  entropyModelPlan,
  layoutOptions,
  type TransformerConfig,
  treeFromNames,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import {
  type Backend,
  f32ToBf16,
  formatShape,
  readSafetensors,
  type SafetensorsInput,
  sameShape,
  scope,
  type Tensor,
  tensor,
  toFloat32,
  writeSafetensors,
} from '@blt-ts/tensor';

export interface EntropyModel {
  readonly params: EntropyModelParams;
  readonly config: TransformerConfig;
  /** Bytes a layer looks back; null: no limit. */
  readonly window: number | null;
  /** Nothing is seen across an end of document. */
  readonly documents: boolean;
  /** Nats; the threshold it was calibrated to. */
  readonly threshold: number;
  readonly parameters: number;
}

/** Value of the metadata key `config`, as JSON. */
type Header = Pick<EntropyModel, 'config' | 'window' | 'documents' | 'threshold'>;

const KIND = 'blt entropy model';

/** Rounds to `bits` bits of mantissa: such numbers compress well, and bfloat16 holds 7. */
export function roundMantissa(values: Float32Array, bits: number): Float32Array {
  const drop = 23 - bits;
  const words = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < words.length; i++) {
    // Half a unit of the last kept bit is added before the rest is cut off; the carry may rightly move the exponent.
    words[i] = ((words[i] + 2 ** (drop - 1)) & (-1 << drop)) >>> 0;
  }
  return new Float32Array(words.buffer);
}

/** The tensor at a path such as `layers.0.mlp.up_proj.weight`. */
const leafAt = (tree: object, path: string): Tensor =>
  path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], tree) as Tensor;

/**
 * @param config of the whole model that `params` was trained with
 * @param options `mantissaBits`: store bfloat16 rounded to so many bits (1..7) instead of float32
 */
export function entropyModelToFile(
  params: EntropyModelParams,
  config: BltConfig,
  options: { mantissaBits?: number } = {},
): Uint8Array {
  const { window, documents } = layoutOptions(config);
  const threshold = config.patching.mode === 'entropy' ? config.patching.threshold : 1.335;
  const header: Header = { config: config.patcher!, window, documents, threshold };
  const { mantissaBits } = options;
  return writeSafetensors(
    entropyModelPlan(config.patcher!, config.vocabSize).map(({ name }): [string, SafetensorsInput] => {
      const leaf = leafAt(params, name);
      const values = leaf.readSync() as Float32Array;
      return mantissaBits === undefined
        ? [name, { dtype: 'F32', shape: leaf.shape, data: values }]
        : [name, { dtype: 'BF16', shape: leaf.shape, data: f32ToBf16(roundMantissa(values, mantissaBits)) }];
    }),
    { kind: KIND, config: JSON.stringify(header) },
  );
}

/** @throws SafetensorsError or ConfigError for a file that is no entropy model */
export function entropyModelFromFile(bytes: Uint8Array, backend: Backend): EntropyModel {
  const { tensors, metadata } = readSafetensors(bytes);
  if (metadata.get('kind') !== KIND)
    throw new ConfigError(`this file is no entropy model: its metadata lacks "${KIND}"`);
  const header = JSON.parse(metadata.get('config') ?? '') as Header;
  const plan = entropyModelPlan(header.config, VOCAB_SIZE);
  const loaded = scope(() =>
    plan.map(({ name, shape }) => {
      const found = tensors.get(name);
      if (!found || !sameShape(found.shape, shape)) {
        const got = found ? formatShape(found.shape) : 'nothing';
        throw new ConfigError(`entropy model: ${name} must have shape ${formatShape(shape)}, the file has ${got}`);
      }
      return [name, tensor(toFloat32(found, name), shape, { backend })] as const;
    }),
  );
  const params = treeFromNames<EntropyModelParams>(loaded);
  return { ...header, params, parameters: countValues(params) };
}
