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
  formatShape,
  readSafetensors,
  type SafetensorsInput,
  sameShape,
  scope,
  type Tensor,
  tensor,
  writeSafetensors,
} from '@blt-ts/tensor';
import { thresholdLine } from '../../report/patching-rule.ts';
import { type NamedValues, packTensors, unpackTensors } from './packed-weights.ts';

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

/** The tensor at a path such as `layers.0.mlp.up_proj.weight`. */
const leafAt = (tree: object, path: string): Tensor =>
  path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], tree) as Tensor;

/**
 * @param config of the whole model that `params` was trained with
 * @param options `bits`: store each weight of a matrix in so many bits (`packRows`) instead of as float32
 */
export function entropyModelToFile(
  params: EntropyModelParams,
  config: BltConfig,
  { bits }: { bits?: number } = {},
): Uint8Array {
  const { window, documents } = layoutOptions(config);
  const threshold = thresholdLine(config.patching) ?? 1.335;
  const header: Header = { config: config.patcher!, window, documents, threshold };
  const tensors = entropyModelPlan(config.patcher!, config.vocabSize).map(({ name }): NamedValues => {
    const leaf = leafAt(params, name);
    return { name, shape: leaf.shape, values: leaf.readSync() as Float32Array };
  });
  const stored =
    bits === undefined
      ? tensors.map(({ name, shape, values }): [string, SafetensorsInput] => [
          name,
          { dtype: 'F32', shape, data: values },
        ])
      : packTensors(tensors, bits);
  return writeSafetensors(stored, { kind: KIND, config: JSON.stringify(header) });
}

/** @throws SafetensorsError or ConfigError for a file that is no entropy model */
export function entropyModelFromFile(bytes: Uint8Array, backend: Backend): EntropyModel {
  const file = readSafetensors(bytes);
  const { metadata } = file;
  if (metadata.get('kind') !== KIND)
    throw new ConfigError(`this file is no entropy model: its metadata lacks "${KIND}"`);
  const header = JSON.parse(metadata.get('config') ?? '') as Header;
  const plan = entropyModelPlan(header.config, VOCAB_SIZE);
  const tensors = unpackTensors(file);
  const loaded = scope(() =>
    plan.map(({ name, shape }) => {
      const found = tensors.get(name);
      if (!found || !sameShape(found.shape, shape)) {
        const got = found ? formatShape(found.shape) : 'nothing';
        throw new ConfigError(`entropy model: ${name} must have shape ${formatShape(shape)}, the file has ${got}`);
      }
      return [name, tensor(found.values, shape, { backend })] as const;
    }),
  );
  const params = treeFromNames<EntropyModelParams>(loaded);
  return { ...header, params, parameters: countValues(params) };
}
