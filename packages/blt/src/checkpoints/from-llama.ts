/**
 * @file Byte-ifying: the global transformer starts from a trained Llama. Its blocks are the same (RMSNorm, rotary positions, grouped
 * heads, SwiGLU) but for two things: transformers stores Llama's queries and keys for rotation by halves, BLT's rotate neighbours; and the
 * global transformer has neither embeddings, nor a final norm, nor an output layer, so these stay behind.
 * @see Pagnoni et al. 2024, section on byte-ifying Llama 3; Touvron et al. 2023
 */

import { leaves } from '@blt-ts/autograd';
import { formatShape, type Shape, sameShape, toFloat32 } from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import type { TransformerConfig } from '../model/config.ts';
import type { BltParams } from '../model/parameters.ts';
import { shownValue } from './shown-value.ts';
import type { NamedShapes, StoredTensors } from './stored-tensors.ts';

/** Prefix of all copied parameters, the group that is trained at a lower rate. */
export const COPIED_BLOCKS = 'model.global_transformer.layers.';

/** Share of the learning rate that copied weights are trained at, as in the paper's section on byte-ifying. */
export const COPIED_LR_SCALE = 0.1;

const wholeNumber = (json: Record<string, unknown>, key: string, fallback?: number): number => {
  const value = json[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new ConfigError(`config.json of the Llama: ${key} must be a number, got ${shownValue(value)}`);
  }
  return value;
};

/**
 * Sizes of a global transformer that takes a Llama's blocks, from its `config.json`. BLT's rotary frequencies are never scaled: see
 * `llamaWarnings`.
 * @throws ConfigError naming a key that is missing, another kind of model, or a form of block that BLT does not have
 */
export function globalFromLlama(json: unknown): TransformerConfig {
  if (json === null || typeof json !== 'object') throw new ConfigError('config.json of the Llama must be an object');
  const keys = json as Record<string, unknown>;
  if (keys.model_type !== 'llama') {
    throw new ConfigError(`config.json: model_type must be "llama", got ${shownValue(keys.model_type)}`);
  }
  for (const key of ['attention_bias', 'mlp_bias']) {
    if (keys[key] === true)
      throw new ConfigError(`config.json of the Llama: ${key} is true; BLT's layers have no biases`);
  }
  if ((keys.hidden_act ?? 'silu') !== 'silu') {
    throw new ConfigError(`config.json of the Llama: hidden_act must be "silu", got ${shownValue(keys.hidden_act)}`);
  }
  const heads = wholeNumber(keys, 'num_attention_heads');
  const hiddenSize = wholeNumber(keys, 'hidden_size');
  if (wholeNumber(keys, 'head_dim', hiddenSize / heads) * heads !== hiddenSize) {
    throw new ConfigError(`config.json: head_dim ${keys.head_dim} x ${heads} heads is not hidden_size ${hiddenSize}`);
  }
  const rope = (keys.rope_parameters ?? keys) as Record<string, unknown>;
  return {
    hiddenSize,
    numHiddenLayers: wholeNumber(keys, 'num_hidden_layers'),
    numAttentionHeads: heads,
    numKeyValueHeads: wholeNumber(keys, 'num_key_value_heads', heads),
    intermediateSize: wholeNumber(keys, 'intermediate_size'),
    maxPositionEmbeddings: wholeNumber(keys, 'max_position_embeddings', 4096),
    rmsNormEps: wholeNumber(keys, 'rms_norm_eps', 1e-5),
    ropeTheta: wholeNumber(rope, 'rope_theta', 10_000),
  };
}

/**
 * Losses in copying these blocks, one sentence each. Llama 3.1 and later stretch their slow rotary frequencies
 * (`rope_scaling`); the global transformer of BLT does not, so far patches look nearer than the Llama learned them to be.
 */
export function llamaWarnings(json: unknown): string[] {
  const keys = json as { rope_parameters?: unknown; rope_scaling?: unknown };
  const rope = (keys.rope_scaling ?? keys.rope_parameters ?? {}) as Record<string, unknown>;
  const type = rope.rope_type ?? rope.type ?? 'default';
  return type === 'default'
    ? []
    : [
        `the Llama's rotary frequencies are scaled (${shownValue(type)}); BLT's are not: training has to make up for it`,
      ];
}

/**
 * Rows of a query or key matrix from rotation by halves to rotation of neighbours: in each head, row 2j is row j of the first half and
 * row 2j+1 row j of the second.
 * @param w [heads*headDim, inner]   @returns the same shape
 */
export function interleaveHeads(w: Float32Array, headDim: number, inner: number): Float32Array {
  const out = new Float32Array(w.length);
  const rows = w.length / inner;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const from = row - inHead + (inHead % 2) * (headDim / 2) + (inHead >> 1);
    out.set(w.subarray(from * inner, (from + 1) * inner), row * inner);
  }
  return out;
}

interface CopiedTensor {
  /** Name in the Llama. */
  readonly from: string;
  /** Name in the BLT. */
  readonly to: string;
  readonly shape: Shape;
  /** A query or key matrix: its rows change places. */
  readonly rotated: boolean;
}

/** Every tensor of a Llama that a global transformer of sizes `c` takes, in order. */
export function llamaTensors(c: TransformerConfig): CopiedTensor[] {
  const [C, I] = [c.hiddenSize, c.intermediateSize];
  const kv = (C / c.numAttentionHeads) * c.numKeyValueHeads;
  const parts: [name: string, shape: Shape][] = [
    ['self_attn.q_proj', [C, C]],
    ['self_attn.k_proj', [kv, C]],
    ['self_attn.v_proj', [kv, C]],
    ['self_attn.o_proj', [C, C]],
    ['mlp.gate_proj', [I, C]],
    ['mlp.up_proj', [I, C]],
    ['mlp.down_proj', [C, I]],
    ['input_layernorm', [C]],
    ['post_attention_layernorm', [C]],
  ];
  return Array.from({ length: c.numHiddenLayers }, (_, i) =>
    parts.map(([part, shape]) => ({
      from: `model.layers.${i}.${part}.weight`,
      to: `${COPIED_BLOCKS}${i}.${part}.weight`,
      shape,
      rotated: part === 'self_attn.q_proj' || part === 'self_attn.k_proj',
    })),
  ).flat();
}

/**
 * Compares a Llama's tensors with what a global transformer of sizes `c` needs.
 * @throws ConfigError with one line for each kind of tensor that is missing or has another shape, and the layers it concerns
 */
export function checkLlama(stored: NamedShapes, c: TransformerConfig): void {
  const layersOf = new Map<string, number[]>();
  for (const { from, shape } of llamaTensors(c)) {
    const found = stored.get(from)?.shape;
    const bias = from.replace(/weight$/, 'bias');
    const problems: string[] = [];
    if (!found) problems.push(`is missing, ${formatShape(shape)} is needed`);
    else if (!sameShape(found, shape)) problems.push(`is ${formatShape(found)}, ${formatShape(shape)} is needed`);
    if (stored.has(bias)) problems.push('has a bias, BLT has none');
    const [, , layer, ...part] = from.split('.');
    for (const problem of problems) {
      const line = `${part.join('.')} ${problem}`;
      layersOf.set(line, [...(layersOf.get(line) ?? []), Number(layer)]);
    }
  }
  if (layersOf.size === 0) return;
  const lines = [...layersOf].map(([line, layers]) => `  ${line} (${ranges(layers)})`);
  throw new ConfigError(
    `the Llama does not fit a global transformer of ${c.numHiddenLayers} layers of width ${c.hiddenSize}:\n${lines.join('\n')}`,
  );
}

/** [0, 1, 2, 5] -> "layers 0-2, 5". */
function ranges(layers: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const layer of layers) {
    const open = parts.at(-1);
    if (open && open[1] === layer - 1) open[1] = layer;
    else parts.push([layer, layer]);
  }
  const text = parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
  return `${layers.length === 1 ? 'layer' : 'layers'} ${text}`;
}

/**
 * Overwrites the blocks of the global transformer with those of a Llama in the Hugging Face layout, in order. A Llama with more
 * layers gives its first ones.
 * @returns the names of the parameters that were copied: those to train at a lower rate
 * @throws ConfigError listing every tensor that is missing or has another shape; then nothing was copied
 */
export function copyLlamaIntoGlobal(params: BltParams, stored: StoredTensors, c: TransformerConfig): string[] {
  checkLlama(stored, c);
  const headDim = c.hiddenSize / c.numAttentionHeads;
  const own = new Map(leaves(params));
  return llamaTensors(c).map(({ from, to, rotated }) => {
    const found = stored.get(from)!;
    const values = toFloat32({ dtype: found.dtype, shape: [...found.shape], data: found.read() }, from);
    own.get(to)!.assign(rotated ? interleaveHeads(values, headDim, c.hiddenSize) : values);
    return to;
  });
}
