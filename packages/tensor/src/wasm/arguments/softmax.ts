/** @file Arguments of softmax and cross-entropy: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** [rows, C] */
export const x = 1;
export const rows = 2;
export const C = 3;
/** [rows], nats */
export const loss = 4;
/** [rows, V] */
export const logits = 5;
/** [rows] */
export const targets = 6;
export const V = 7;
/** Gradient of the logits */
export const dlogits = 8;
/** Gradient of the loss */
export const g = 9;
