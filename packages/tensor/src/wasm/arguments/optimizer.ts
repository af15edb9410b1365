/** @file Arguments of AdamW and the moving average: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Parameters */
export const p = 0;
/** First moments */
export const m = 1;
/** Second moments */
export const v = 2;
/** Gradient */
export const g = 3;
/** Address of the clipping factor */
export const gradScale = 4;
/** Elements */
export const n = 5;
/** Rows of p, m and v */
export const ids = 6;
/** How many ids */
export const rows = 7;
/** Channels */
export const C = 8;
/** [rows, 5], see the contract */
export const factors = 9;
export const beta1 = 10;
/** 1 - beta1 */
export const rest1 = 11;
export const beta2 = 12;
/** 1 - beta2 */
export const rest2 = 13;
/** lr / (1 - beta1^step) */
export const rate = 14;
/** 1 / (1 - beta2^step) */
export const correction = 15;
export const eps = 16;
/** 1 - lr weightDecay */
export const decay = 17;
/** Moving average */
export const a = 18;
/** Values that it moves to */
export const b = 19;
export const weight = 20;
