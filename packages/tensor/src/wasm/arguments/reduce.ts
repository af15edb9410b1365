/** @file Arguments of the reductions: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** Summed as [outer, n, inner] */
export const x = 1;
export const outer = 2;
export const n = 3;
export const inner = 4;
/** 64-bit sums of runs of x */
export const partials = 5;
/** 1 to sum squares */
export const squares = 6;
/** How many partials */
export const count = 7;
/** Divides the sums of squares */
export const divisor = 8;
