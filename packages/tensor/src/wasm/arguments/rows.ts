/** @file Arguments of the kernels on rows of tables and segments of rows: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** [V, C] */
export const table = 1;
/** Rows of the table */
export const ids = 2;
/** Ids, or rows of x */
export const n = 3;
/** Channels */
export const C = 4;
/** Ids that make one row of an embedding bag */
export const G = 5;
/** Rows */
export const x = 6;
/** Rows of x, segment after segment */
export const entries = 7;
/** First entry of each segment, and the end of the last */
export const starts = 8;
/** Segments of entries */
export const U = 9;
/** Segments of rows */
export const P = 10;
/** Rows of the result of scatterAddRows */
export const rows = 11;
/** Gradient of x */
export const dx = 12;
/** Gradient of y */
export const g = 13;
