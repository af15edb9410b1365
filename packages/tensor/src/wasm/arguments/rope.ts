/** @file Arguments of rotary position embedding: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** [rows, width] */
export const x = 1;
/** [positions, headDim / 2] */
export const cos = 2;
export const sin = 3;
/** [rows] */
export const positions = 4;
export const rows = 5;
export const width = 6;
export const headDim = 7;
/** 1 to turn the other way */
export const inverse = 8;
