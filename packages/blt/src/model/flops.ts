/**
 * @file Forward FLOPs after the paper's formulas (one multiply-add = 2 FLOPs; lookups, norms and softmax are not counted).
 * A training step is counted as 3 times the forward pass. They are estimates for comparing models: attention is counted
 * over (m + 1) / 2 keys on average and the feed-forward as two h x 4h matrices, whatever the real widths are. `executedFlops` adds the
 * seven terms that make the sum exact.
 * @see Pagnoni et al. 2024, appendix B; Hoffmann et al. 2022
 */
import type { BltConfig, TransformerConfig } from './config.ts';

/** Classes of the output layer as the paper counts them. */
const BYTES = 256;

/** Scores and weighted sum over m causal keys: 4*l*h*(m+1)/2 per query. */
export function attentionFlops(layers: number, width: number, context: number): number {
  return (4 * layers * width * (context + 1)) / 2;
}

/** Query, key, value and output projections: (2r+2)*2*l*h^2 per query, r = key rows per query row (self-attention: 1). */
export function projectionFlops(layers: number, width: number, keysPerQuery = 1): number {
  return (2 * keysPerQuery + 2) * 2 * layers * width ** 2;
}

/** Feed-forward with hidden width 4h: 2*l*2*h*4h. */
export function feedForwardFlops(layers: number, width: number): number {
  return 2 * layers * 2 * width * 4 * width;
}

/** A transformer in the letters of the paper's formulas. */
export interface TransformerSize {
  readonly layers: number;
  /** h */
  readonly width: number;
  /** m: keys in reach of a query. */
  readonly context: number;
  /** V of the output layer; 0 without one. */
  readonly vocab: number;
}

/** Forward FLOPs of a decoder-only transformer per position: attention + projections + feed-forward + 2*h*V. */
export function transformerFlops({ layers, width, context, vocab }: TransformerSize): number {
  return (
    attentionFlops(layers, width, context) +
    projectionFlops(layers, width) +
    feedForwardFlops(layers, width) +
    2 * width * vocab
  );
}

/** Forward FLOPs of cross-attention per query row: m keys in reach, r key rows per query row. */
export function crossAttentionFlops(layers: number, width: number, context: number, keysPerQuery: number): number {
  return attentionFlops(layers, width, context) + projectionFlops(layers, width, keysPerQuery);
}

/** A BLT in the letters of the paper's formulas. */
export interface BltSize {
  readonly globalWidth: number;
  readonly globalLayers: number;
  readonly encoderWidth: number;
  readonly encoderLayers: number;
  readonly decoderWidth: number;
  readonly decoderLayers: number;
  /** Context in bytes. */
  readonly contextBytes: number;
  /** n_p: mean bytes per patch. */
  readonly patchBytes: number;
  /** cross_attn_k */
  readonly k: number;
  /** Local attention window in bytes (default 512). */
  readonly encoderWindow?: number;
  readonly decoderWindow?: number;
  /** Classes of the output layer (default 256, as the paper counts). */
  readonly vocab?: number;
}

/** FLOPs per BYTE, by part. */
export interface BltFlops {
  readonly global: number;
  readonly encoder: number;
  readonly decoder: number;
  readonly encoderCross: number;
  readonly decoderCross: number;
  /** Sum of the above: one forward pass. */
  readonly forward: number;
  /** 3 * forward. */
  readonly training: number;
}

/**
 * FLOPs per byte of a BLT; the entropy model is not included (add `transformerFlops` of its size).
 *
 * global = T(hG, lG, n_ctx/n_p, 0) / n_p; encoder = T(hE, lE, w, 0); decoder = T(hD, lD, w, V);
 * encoderCross = C(hE, lE, n_p, n_p/k) * k/n_p; decoderCross = C(hD, lD, k, k/n_p).
 * @throws RangeError if a size is not a positive number
 */
export function bltFlops(size: BltSize): BltFlops {
  for (const [name, value] of Object.entries(size)) {
    if (value !== undefined && !(value > 0)) throw new RangeError(`bltFlops: ${name} must be above 0, got ${value}`);
  }
  const { encoderWindow = 512, decoderWindow = 512, vocab = BYTES, patchBytes: p, k } = size;
  const { globalWidth, globalLayers, encoderWidth, encoderLayers, decoderWidth, decoderLayers, contextBytes } = size;
  const global =
    transformerFlops({ layers: globalLayers, width: globalWidth, context: contextBytes / p, vocab: 0 }) / p;
  const encoder = transformerFlops({ layers: encoderLayers, width: encoderWidth, context: encoderWindow, vocab: 0 });
  const decoder = transformerFlops({ layers: decoderLayers, width: decoderWidth, context: decoderWindow, vocab });
  const encoderCross = (crossAttentionFlops(encoderLayers, encoderWidth, p, p / k) * k) / p;
  const decoderCross = crossAttentionFlops(decoderLayers, decoderWidth, k, k / p);
  const forward = global + encoder + decoder + encoderCross + decoderCross;
  return { global, encoder, decoder, encoderCross, decoderCross, forward, training: 3 * forward };
}

/** FLOPs per byte that a model executes beyond (or below) the paper's sum. */
export interface AddedFlops {
  /** Three matrices of the real feed-forward width I instead of two of 4h: 6hI - 16h^2 a row and layer. */
  readonly feedForward: number;
  /** Keys and values of fewer heads, width v < h: -4h(h - v) a row and layer, self-attention and cross-attention alike. */
  readonly keyValueHeads: number;
  /**
   * Keys in reach. The paper counts (w+1)/2 for a window of w, as if texts were w bytes long; a text of n > w bytes has
   * w - w(w-1)/2n on average. In cross-attention every key of the patch is seen, not the half: n_p instead of (n_p+1)/2, k instead of
   * (k+1)/2.
   */
  readonly attentionKeys: number;
  /** Layers without cross-attention, which the paper counts in all: -(l - c) C(h, 1, ...). */
  readonly crossLayers: number;
  /** Pooled patches to k queries, patches to the global width (if k hE differs from it), global states to k rows: 2 a b each, / n_p. */
  readonly patchProjections: number;
  /** Classes beyond the 256 bytes: 2 h (V - 256). */
  readonly classes: number;
  /** The entropy model, which the paper leaves out; 0 where patches do not need one. */
  readonly entropyModel: number;
}

/** FLOPs per byte that a model executes, and how the paper counts them. */
export interface ExecutedFlops {
  /** The paper's sum for these sizes. */
  readonly paper: number;
  readonly added: AddedFlops;
  /** paper + all of added: matrix products and attention of one forward pass, per byte. */
  readonly total: number;
}

/** Mean keys in the window of a position of a text of n bytes, the position itself included. */
const keysInWindow = (n: number, w: number): number => (n <= w ? (n + 1) / 2 : w - (w * (w - 1)) / (2 * n));

/**
 * FLOPs per byte that a model executes in matrix products and attention: the paper's sum and what it leaves out, term by term. It is the
 * ledger's figure (`withLedger`) of decoding, up to the bytes that wait in an unfinished patch, and of training's forward pass (where
 * behaviour `huggingface` computes all cross-attentions of an encoder, decoding the last alone).
 * The sum is that of texts of `contextBytes` bytes, cut into patches of `patchBytes` bytes on average.
 * @see Pagnoni et al. 2024, appendix B, for the paper's sum
 */
export function executedFlops(
  config: BltConfig,
  { contextBytes: n, patchBytes: p }: { readonly contextBytes: number; readonly patchBytes: number },
): ExecutedFlops {
  const { encoder: e, decoder: d, global: g, patcher, crossAttnK: k, vocabSize } = config;
  const facebook = config.behaviour === 'facebook';
  const window = facebook && config.window !== null ? config.window : n;
  const [C, G] = [e.hiddenSize, g.hiddenSize];
  const paper = bltFlops({
    globalWidth: G,
    globalLayers: g.numHiddenLayers,
    encoderWidth: C,
    encoderLayers: e.numHiddenLayers,
    decoderWidth: C,
    decoderLayers: d.numHiddenLayers,
    contextBytes: n,
    patchBytes: p,
    k,
    encoderWindow: window,
    decoderWindow: window,
  }).forward;
  // `huggingface`: of an encoder that cross-attends in every layer only the last result is used, and only that is computed.
  const encoderCross = e.crossAttnAllLayers && facebook ? e.numHiddenLayers : 1;
  const decoderCross = d.crossAttnAllLayers ? d.numHiddenLayers : 1;
  const seen = keysInWindow(n, window);
  const wider = (t: TransformerConfig) =>
    t.numHiddenLayers * (6 * t.hiddenSize * t.intermediateSize - 16 * t.hiddenSize ** 2);
  const fewerHeads = (t: TransformerConfig) => 4 * t.hiddenSize ** 2 * (1 - t.numKeyValueHeads / t.numAttentionHeads);
  const added: AddedFlops = {
    feedForward: wider(e) + wider(d) + wider(g) / p,
    keyValueHeads: -(
      fewerHeads(e) * (e.numHiddenLayers + encoderCross) +
      fewerHeads(d) * (d.numHiddenLayers + (decoderCross * k) / p) +
      (fewerHeads(g) * g.numHiddenLayers) / p
    ),
    attentionKeys:
      4 * C * (e.numHiddenLayers + d.numHiddenLayers) * (seen - (window + 1) / 2) +
      4 * C * encoderCross * (p - (p + 1) / 2) * (k / p) +
      4 * C * decoderCross * (k - (k + 1) / 2),
    crossLayers: -(
      crossAttentionFlops(e.numHiddenLayers - encoderCross, C, p, p / k) * (k / p) +
      crossAttentionFlops(d.numHiddenLayers - decoderCross, C, k, k / p)
    ),
    patchProjections: (2 * C * k * C + (k * C === G ? 0 : 2 * k * C * G) + 2 * G * k * C) / p,
    classes: 2 * C * (vocabSize - BYTES),
    entropyModel:
      patcher && config.patching.mode === 'entropy'
        ? attentionFlops(patcher.numHiddenLayers, patcher.hiddenSize, 2 * seen - 1) +
          projectionFlops(patcher.numHiddenLayers, patcher.hiddenSize) -
          fewerHeads(patcher) * patcher.numHiddenLayers +
          feedForwardFlops(patcher.numHiddenLayers, patcher.hiddenSize) +
          wider(patcher) +
          2 * patcher.hiddenSize * vocabSize
        : 0,
  };
  return { paper, added, total: Object.values(added).reduce((sum: number, term: number) => sum + term, paper) };
}
