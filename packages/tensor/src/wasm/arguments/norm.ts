/** @file Arguments of root-mean-square normalisation: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** [rows, C] */
export const x = 1;
/** [C] */
export const w = 2;
export const rows = 3;
export const C = 4;
export const eps = 5;
/** Gradient of x */
export const dx = 6;
/** Gradient of w */
export const dw = 7;
/** [chunks, width], sums for dw over runs of rows */
export const partials = 8;
/** Gradient of y */
export const g = 9;
export const chunks = 10;
/** C rounded up to 4 */
export const width = 11;
