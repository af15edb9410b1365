/** @file Arguments of the matrix products: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** [M, K] */
export const a = 0;
/** [K, N] */
export const b = 1;
/** [M, N] */
export const c = 2;
export const M = 3;
export const N = 4;
export const K = 5;
/** Bytes from row to row of A */
export const am = 6;
/** Bytes from k to k of A */
export const ak = 7;
/** Bytes from k to k of B */
export const bk = 8;
/** Bytes from column to column of B */
export const bn = 9;
/** Bytes from row to row of C */
export const cm = 10;
/** 1 to add to C instead of overwriting it */
export const add = 11;
/** How many products */
export const batches = 12;
/** Bytes from one matrix to the next */
export const aStep = 13;
export const bStep = 14;
export const cStep = 15;
/** Floats made of BF16 */
export const y = 16;
/** BF16 values */
export const x = 17;
/** How many */
export const n = 18;
/** 1 where few rows may be added up in an order of their own */
export const fewRows = 19;
