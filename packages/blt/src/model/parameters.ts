/**
 * @file Names, shapes and initial values of all parameters. The tree's paths are the tensor names of a Hugging Face
 * `BltForCausalLM` checkpoint.
 */
import { leaves, mapTree, treeFromNames } from '@blt-ts/autograd';
import { type Backend, type Random, sizeOf, type Tensor, type TensorOptions, tensor } from '@blt-ts/tensor';
import { copyOf } from '../copy.ts';
import { type BltConfig, keyValueWidth, type LocalConfig, type TransformerConfig } from './config.ts';

/** The weight of one layer, under the name that Hugging Face gives it. */
export interface Weight {
  readonly weight: Tensor;
}
/** Projections of an attention, [out, in] each. */
export interface AttentionParams {
  readonly q_proj: Weight;
  readonly k_proj: Weight;
  readonly v_proj: Weight;
  readonly o_proj: Weight;
}
/** A cross-attention: the norms of its queries and of its keys and values too. */
export interface CrossAttentionParams extends AttentionParams {
  readonly q_norm: Weight;
  readonly k_norm: Weight;
}
/** A SwiGLU layer. */
export interface FeedForwardParams {
  readonly gate_proj: Weight;
  readonly up_proj: Weight;
  readonly down_proj: Weight;
}
/** A transformer block. `post_attention_layernorm` is the norm before the feed-forward layer. */
export interface BlockParams {
  readonly self_attn: AttentionParams;
  readonly mlp: FeedForwardParams;
  readonly input_layernorm: Weight;
  readonly post_attention_layernorm: Weight;
}
/** Parameters of `localEncoder`. */
export interface LocalEncoderParams {
  readonly embed_tokens: Weight;
  readonly layers: readonly BlockParams[];
  readonly patch_embedding_projection: Weight;
  readonly cross_attn_layers: readonly CrossAttentionParams[];
}
/** Parameters of `globalTransformer`. */
export interface GlobalTransformerParams {
  readonly layers: readonly BlockParams[];
  /** Only when k * local width differs from the global width. */
  readonly token_embedding_projection?: Weight;
}
/** Parameters of `localDecoder`. */
export interface LocalDecoderParams {
  readonly layers: readonly BlockParams[];
  readonly patch_embedding_projection: Weight;
  readonly cross_attn_layers: readonly CrossAttentionParams[];
  readonly norm: Weight;
}
/** Parameters of `entropyModelLogits`. */
export interface EntropyModelParams {
  readonly embed_tokens: Weight;
  readonly layers: readonly BlockParams[];
  readonly norm: Weight;
  readonly lm_head: Weight;
}
/** All that the latent transformer trains. */
export interface BltParams {
  readonly model: {
    readonly local_encoder: LocalEncoderParams;
    /** All hash tables in one, function-major, then n-gram size. Absent without hash embeddings. */
    readonly encoder_hash_tok_embedding?: Weight;
    readonly global_transformer: GlobalTransformerParams;
    readonly local_decoder: LocalDecoderParams;
  };
  readonly lm_head: Weight;
}

/** One parameter of a model that is not made yet. */
export interface ParameterPlan {
  readonly name: string;
  readonly shape: readonly number[];
  /** Initial values are normal with this standard deviation, cut at 3 of them; null: they are 1. */
  readonly std: number | null;
}

const matrix = (name: string, out: number, inner: number, std = 1 / Math.sqrt(inner)): ParameterPlan => ({
  name: `${name}.weight`,
  shape: [out, inner],
  std,
});
const norm = (name: string, width: number): ParameterPlan => ({ name: `${name}.weight`, shape: [width], std: null });

/** A matrix whose result is added to the residual stream. @param init its initial std as a share of fan-in^-0.5 */
const output = (name: string, out: number, inner: number, init: number) =>
  matrix(name, out, inner, init / Math.sqrt(inner));

function attentionPlan(name: string, c: TransformerConfig, outputInit = 1): ParameterPlan[] {
  const kvWidth = keyValueWidth(c);
  return [
    matrix(`${name}.q_proj`, c.hiddenSize, c.hiddenSize),
    matrix(`${name}.k_proj`, kvWidth, c.hiddenSize),
    matrix(`${name}.v_proj`, kvWidth, c.hiddenSize),
    output(`${name}.o_proj`, c.hiddenSize, c.hiddenSize, outputInit),
  ];
}

function blocksPlan(name: string, c: TransformerConfig, outputInit = 1): ParameterPlan[] {
  return Array.from({ length: c.numHiddenLayers }, (_, i) => {
    const at = `${name}.layers.${i}`;
    return [
      ...attentionPlan(`${at}.self_attn`, c, outputInit),
      matrix(`${at}.mlp.gate_proj`, c.intermediateSize, c.hiddenSize),
      matrix(`${at}.mlp.up_proj`, c.intermediateSize, c.hiddenSize),
      output(`${at}.mlp.down_proj`, c.hiddenSize, c.intermediateSize, outputInit),
      norm(`${at}.input_layernorm`, c.hiddenSize),
      norm(`${at}.post_attention_layernorm`, c.hiddenSize),
    ];
  }).flat();
}

function crossPlan(name: string, c: LocalConfig): ParameterPlan[] {
  const layers = c.crossAttnAllLayers ? c.numHiddenLayers : 1;
  return Array.from({ length: layers }, (_, i) => {
    const at = `${name}.cross_attn_layers.${i}`;
    return [...attentionPlan(at, c), norm(`${at}.q_norm`, c.hiddenSize), norm(`${at}.k_norm`, c.hiddenSize)];
  }).flat();
}

/**
 * Every parameter of the latent transformer, in the order of the forward pass (Pagnoni et al. 2024, section 3).
 * @param hashInit the hash tables' initial std as a share of width^-0.5. The released models use 1; on small corpora, where most
 *   rows are read a few times at most, less noise to unlearn is better (docs/results.md).
 * @param outputInit the initial std of the last matrix of each attention and feed-forward layer in the blocks, as a share of
 *   fan-in^-0.5. The released models use 1. With 0 each block begins as the identity, which learns faster (docs/results.md).
 */
export function bltPlan(c: BltConfig, hashInit = 1, outputInit = 1): ParameterPlan[] {
  const local = c.encoder.hiddenSize;
  const wide = c.crossAttnK * local;
  const tables = c.hash.functions * c.hash.groupSizes.length;
  return [
    matrix('model.local_encoder.embed_tokens', c.vocabSize, local),
    ...(tables > 0
      ? [matrix('model.encoder_hash_tok_embedding', tables * c.hash.vocab, local, hashInit / Math.sqrt(local))]
      : []),
    ...blocksPlan('model.local_encoder', c.encoder, outputInit),
    matrix('model.local_encoder.patch_embedding_projection', wide, local),
    ...crossPlan('model.local_encoder', c.encoder),
    ...(wide === c.global.hiddenSize
      ? []
      : [matrix('model.global_transformer.token_embedding_projection', c.global.hiddenSize, wide)]),
    ...blocksPlan('model.global_transformer', c.global, outputInit),
    matrix('model.local_decoder.patch_embedding_projection', wide, c.global.hiddenSize),
    ...crossPlan('model.local_decoder', c.decoder),
    ...blocksPlan('model.local_decoder', c.decoder, outputInit),
    norm('model.local_decoder.norm', local),
    matrix('lm_head', c.vocabSize, local),
  ];
}

/** Every parameter of an entropy model, under `prefix` (`model.patcher.` inside a checkpoint of the whole). */
export function entropyModelPlan(c: TransformerConfig, vocabSize: number, prefix = ''): ParameterPlan[] {
  return [
    matrix(`${prefix}embed_tokens`, vocabSize, c.hiddenSize),
    // blocksPlan puts a dot behind its name: without a prefix the dot goes.
    ...blocksPlan(prefix.slice(0, -1), c).map((p) => (prefix === '' ? { ...p, name: p.name.slice(1) } : p)),
    norm(`${prefix}norm`, c.hiddenSize),
    matrix(`${prefix}lm_head`, vocabSize, c.hiddenSize),
  ];
}

/** Number of values in a plan, of those whose name starts with `prefix`. */
export const countParameters = (plan: readonly ParameterPlan[], prefix = ''): number =>
  plan.reduce((n, p) => (p.name.startsWith(prefix) ? n + sizeOf(p.shape) : n), 0);

/** An array as long as the largest parameter. @throws Error naming that parameter, if there is no memory for it */
function roomForLargest(plan: readonly ParameterPlan[]): Float32Array {
  const most = plan.reduce((size, { shape }) => Math.max(size, sizeOf(shape)), 0);
  try {
    return new Float32Array(most);
  } catch (error) {
    const { name, shape } = plan.find((one) => sizeOf(one.shape) === most)!;
    const asked = `${name} [${shape.join(', ')}] has ${(most / 2 ** 28).toFixed(1)} GiB`;
    throw new Error(`out of memory: ${asked}; choose smaller sizes`, { cause: error });
  }
}

/**
 * Fresh parameters: matrices truncated normal (cut at 3 std) with std = fan-in^-0.5, tables and output layer width^-0.5, norms 1.
 * Each parameter draws from its own stream, named after it: adding one does not change the others.
 */
export function initParameters<T>(plan: readonly ParameterPlan[], random: Random, options?: TensorOptions): T {
  // One array for all: the C library would keep the memory of many that were freed.
  const room = roomForLargest(plan);
  return treeFromNames<T>(
    plan.map(({ name, shape, std }) => {
      const values = room.subarray(0, sizeOf(shape));
      if (std === null) values.fill(1);
      else if (std === 0) values.fill(0);
      else random.fork(name).fillTruncatedNormal(values, { std });
      return [name, tensor(values, shape, options)] as const;
    }),
  );
}

/** The same values in tensors of their own. */
export function copyParameters<T extends object>(params: T): T {
  return mapTree(params, copyOf) as unknown as T;
}

/** The same values in tensors on another backend: from a GPU to where they can be saved and read at once, or the other way. */
export async function parametersOn<T extends object>(params: T, backend: Backend): Promise<T> {
  const values = new Map<string, Float32Array | Int32Array>();
  for (const [name, leaf] of leaves(params)) values.set(name, await leaf.read());
  return mapTree(params, (leaf, name) => tensor(values.get(name)!, leaf.shape, { backend })) as unknown as T;
}

/** Values in a tree of parameters. */
export const countValues = (params: object): number => leaves(params).reduce((n, [, leaf]) => n + leaf.size, 0);
