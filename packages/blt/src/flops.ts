/**
 * Forward FLOPs after the paper's formulas (one multiply-add = 2 FLOPs; lookups, norms and softmax are not counted).
 * A training step is counted as 3 times the forward pass. They are estimates for comparing models: attention is counted
 * over (m + 1) / 2 keys on average and the feed-forward as two h x 4h matrices, whatever the real widths are.
 * @see Pagnoni et al. 2024, appendix B; Hoffmann et al. 2022
 */

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
  const { encoderWindow = 512, decoderWindow = 512, vocab = 256, patchBytes: p, k } = size;
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
