/** @file Arguments of the kernels along the last axis: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** [rows, n] */
export const x = 1;
export const rows = 2;
export const n = 3;
/** 1 to sum from the end, or to sort the largest first */
export const reverse = 4;
/** Positions wanted of each row */
export const count = 5;
/** Working memory of argsort: 16 n bytes */
export const work = 6;
/** [rows, m] */
export const ids = 7;
export const m = 8;
