/** @file Arguments of the elementwise kernels: the word of the argument block in which each stands, for assembly/ and bindings/ alike. */
/** Result */
export const y = 0;
/** Operand of one input */
export const x = 1;
/** Which operation: one of the codes below */
export const op = 2;
/** Elements */
export const n = 3;
export const scale = 4;
export const shift = 5;
/** First operand */
export const a = 6;
/** Second operand */
export const b = 7;
/** Rows and columns of the result, see collapseBroadcast */
export const rows = 8;
export const columns = 9;
/** Steps of a and b from row to row and from column to column, in elements */
export const aRow = 10;
export const aColumn = 11;
export const bRow = 12;
export const bColumn = 13;
/** Gradients of a and b */
export const da = 14;
export const db = 15;
/** Gradient of y */
export const g = 16;
export const seed = 17;
/** Rate of dropout times 2^32, unsigned */
export const threshold = 18;
/** Third operand, the condition of `where`, and its steps */
export const c = 19;
export const cRow = 20;
export const cColumn = 21;

// Codes of the operations of one operand.
export const NEG = 0;
export const EXP = 1;
export const LOG = 2;
export const SQRT = 3;
export const RECIPROCAL = 4;
export const TANH = 5;
export const SIGMOID = 6;
export const ABS = 7;
export const SIGN = 8;
export const AFFINE = 9;
export const ERF = 10;
export const TO_I32 = 11;
export const TO_F32 = 12;
/** sin(x + shift pi/2) */
export const WAVE = 13;

// Codes of the operations of two.
export const ADD = 0;
export const SUB = 1;
export const MUL = 2;
export const DIV = 3;
export const MAXIMUM = 4;
export const MINIMUM = 5;
export const GREATER = 6;
export const EQUAL = 7;
export const NOT_EQUAL = 8;
