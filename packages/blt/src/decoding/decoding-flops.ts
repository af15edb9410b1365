/**
 * @file FLOPs of incremental decoding, counted for the model as it is: real feed-forward widths, grouped heads, projections between local
 * and global width. The paper's formula (flops.ts) rounds all of these; it is for comparing sizes, this one for checking the ledger.
 */
import { type BltConfig, keyValueWidth, type LocalConfig, type TransformerConfig } from '../model/config.ts';

/** How much a byte sees while decoding, on average. */
export interface DecodingLoad {
  /** Mean bytes a patch. */
  readonly patchBytes: number;
  /** Mean keys that a byte sees in the local models, itself included. */
  readonly localKeys: number;
  /** Mean keys that a byte sees in the entropy model (default: localKeys). */
  readonly patcherKeys?: number;
  /** Mean patches that a patch sees, itself included. */
  readonly globalKeys: number;
}

/** FLOPs per byte in matrix products and attention, by part; a multiply-add is 2. */
export interface DecodingFlops {
  readonly patcher: number;
  readonly encoder: number;
  readonly global: number;
  readonly decoder: number;
  readonly total: number;
}

/** One row through the stack: q, k, v, o; scores and weighted sum over `keys`; gate, up, down. */
function stackFlops(c: TransformerConfig, keys: number): number {
  const { hiddenSize: C, intermediateSize: I } = c;
  return c.numHiddenLayers * (2 * C * (2 * C + 2 * keyValueWidth(c)) + 4 * keys * C + 2 * 3 * C * I);
}

const crossLayers = (c: LocalConfig): number => (c.crossAttnAllLayers ? c.numHiddenLayers : 1);

/** Query and output projections of one row, and attention over `keys` rows. */
const crossQuery = (c: LocalConfig, keys: number): number => 4 * c.hiddenSize ** 2 + 4 * keys * c.hiddenSize;

/** Key and value projections of one row. */
const crossKey = (c: LocalConfig): number => 4 * c.hiddenSize * keyValueWidth(c);

/** FLOPs that decoding executes for a byte, on average. The bytes of a patch share the global model's step. */
export function decodingFlops(config: BltConfig, load: DecodingLoad): DecodingFlops {
  const { encoder: e, decoder: d, global: g, patcher: p, crossAttnK: k, vocabSize: V } = config;
  const { patchBytes, localKeys, globalKeys, patcherKeys = localKeys } = load;
  const [C, G] = [e.hiddenSize, g.hiddenSize];
  const patcher = p && config.patching.mode === 'entropy' ? stackFlops(p, patcherKeys) + 2 * p.hiddenSize * V : 0;
  // With `huggingface` only the last layer's cross-attention reaches the output; the others are not computed.
  const refined = config.behaviour === 'facebook' ? crossLayers(e) : 1;
  const pooling = 2 * C * k * C;
  const encoder =
    stackFlops(e, localKeys) + refined * crossKey(e) + (pooling + refined * k * crossQuery(e, patchBytes)) / patchBytes;
  const tokens = k * C === G ? 0 : 2 * k * C * G;
  const global = (tokens + stackFlops(g, globalKeys)) / patchBytes;
  const perPatch = 2 * G * k * C + crossLayers(d) * k * crossKey(d);
  const decoder =
    stackFlops(d, localKeys) + crossLayers(d) * crossQuery(d, k) + 2 * d.hiddenSize * V + perPatch / patchBytes;
  return { patcher, encoder, global, decoder, total: patcher + encoder + global + decoder };
}
