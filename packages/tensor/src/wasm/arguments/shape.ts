/** @file Arguments of the kernels that move elements: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Addresses of the first pieces */
export const to = 0;
export const from = 1;
/** How many pieces */
export const count = 2;
/** Elements of a piece */
export const length = 3;
/** Elements from one piece to the next */
export const toStep = 4;
export const fromStep = 5;
/** The same again, `outer` times, so many elements on */
export const outer = 11;
export const toOuter = 12;
export const fromOuter = 13;
/** From one element of a piece to the next where they come from */
export const fromElement = 14;
/** x transposed */
export const y = 6;
/** [batch, rows, columns] */
export const x = 7;
export const batch = 8;
export const rows = 9;
export const columns = 10;
