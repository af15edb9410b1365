/** @file Arguments of interval attention, forward and backward: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** [n, heads * headDim] */
export const out = 0;
/** [n, heads] */
export const lse = 1;
/** [n, heads * headDim] */
export const q = 2;
/** [m, kvHeads * headDim] */
export const k = 3;
export const v = 4;
/** [n], first key of each query */
export const lo = 5;
/** [n], one past the last */
export const hi = 6;
/** Queries */
export const n = 7;
/** Keys */
export const m = 8;
export const heads = 9;
export const kvHeads = 10;
export const headDim = 11;
export const scale = 12;
/** Gradients */
export const dq = 13;
export const dk = 14;
export const dv = 15;
/** Gradient of out */
export const g = 16;
/** First rows of the segments, made by findSegments */
export const starts = 17;
/** How many */
export const segments = 18;
