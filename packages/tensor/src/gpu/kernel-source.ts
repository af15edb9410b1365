/**
 * @file A kernel for gpu.js: a string of JavaScript that computes one element of the result ("gather only"), its
 * arguments by kind, and the grid of threads it runs on.
 *
 * Strings, because gpu.js translates source text: a function that a bundler has minified or a coverage tool has instrumented
 * gives wrong results or none. Arguments carry every size, so that one compiled kernel serves all shapes.
 *
 * Macros of a body:
 * - `I` the index on a line; `ROW` and `COL` on rows.
 * - `INT(v)` turns a float (an id read from an array, a local) into an index. Traps: every local is a float in the end, exact
 *   up to 2^24 only, so locals hold row numbers and ids, and offsets of elements are written out inside the brackets; `/` and
 *   `%` of integers are rounded floats, so rows are divided by `Math.floor((row + 0.5) * inverse)`, exact below 2^22.
 * - An index read from an array goes through a local first: gpu.js's GLSL takes an array inside the brackets of another apart
 *   wrongly.
 * - `y` is the result, 0 outside the grid's true size.
 */

/**
 * The grid of threads, one for each element of the result. line: [n]. rows: [columns, rows], with rows folded into layers where the device
 * limits their number. tiles: [columns / 4, rows, matrices], where a thread computes four columns.
 */
export type Grid = 'line' | 'rows' | 'tiles';

/** Language that gpu.js writes, as far as kernels must know: WGSL and WebAssembly have bit operations, GLSL imitates them slowly. */
export type Dialect = 'bitwise' | 'glsl';

/** One kernel as source text. */
export interface KernelSource {
  readonly name: string;
  readonly grid: Grid;
  /** Names of the array arguments (7 at most: a compute stage has 8 storage buffers), then whole numbers, then floats. */
  readonly arrays: readonly string[];
  readonly integers: readonly string[];
  readonly floats: readonly string[];
  readonly body: string;
  /** Functions on whole numbers that the body calls, as source. */
  readonly functions: readonly string[];
}

const names = (list: string): string[] => list.split(' ').filter((name) => name !== '');

/**
 * A kernel.
 * @param args names, separated by spaces
 * @param body statements that set `y`
 */
export function kernel(
  name: string,
  grid: Grid,
  args: { arrays?: string; integers?: string; floats?: string },
  body: string,
  functions: readonly string[] = [],
): KernelSource {
  const { arrays = '', integers = '', floats = '' } = args;
  return { name, grid, arrays: names(arrays), integers: names(integers), floats: names(floats), body, functions };
}

/** Every argument with its kind, in the order of the call. The grid's own come last: true size, rows per layer. */
export function argumentsOf(k: KernelSource): { name: string; kind: 'array' | 'integer' | 'float' }[] {
  const grid = k.grid === 'rows' ? ['n', 'layer'] : ['n'];
  return [
    ...k.arrays.map((name) => ({ name, kind: 'array' as const })),
    ...k.integers.map((name) => ({ name, kind: 'integer' as const })),
    ...k.floats.map((name) => ({ name, kind: 'float' as const })),
    ...grid.map((name) => ({ name, kind: 'integer' as const })),
  ];
}

const place: Record<Grid, string> = {
  line: 'this.thread.x',
  rows: '(this.thread.y + this.thread.z * layer)',
  tiles: 'this.thread.y',
};

/** The text gpu.js compiles. */
export function sourceOf(k: KernelSource, dialect: Dialect): string {
  const tile = k.grid === 'tiles';
  const text = `function ${k.name}(${argumentsOf(k)
    .map(({ name }) => name)
    .join(', ')}) {
  ${tile ? 'let y0 = 0; let y1 = 0; let y2 = 0; let y3 = 0;' : 'let y = 0;'}
  if (ROW < n) {
    ${k.body.trim()}
  }
  return ${tile ? '[y0, y1, y2, y3]' : 'y'};
}`;
  return text
    .replace(/\b(ROW|I)\b/g, place[k.grid])
    .replace(/\bCOL\b/g, 'this.thread.x')
    .replace(/\bINT\(/g, dialect === 'glsl' ? 'toInt(' : '(0 | ');
}

/** A function from whole numbers to a whole number, as gpu.js takes it. */
export interface IntegerFunction {
  readonly source: string;
  readonly settings: { readonly argumentTypes: Record<string, string>; readonly returnType: string };
}

/** The functions that the body calls. GLSL needs one more, because it has no bit operations to turn a float into an index. */
export function functionsOf(k: KernelSource, dialect: Dialect): IntegerFunction[] {
  const whole = (source: string, type: string): IntegerFunction => ({
    source,
    settings: { argumentTypes: { v: type }, returnType: 'Integer' },
  });
  const own = k.functions.map((source) => whole(source, 'Integer'));
  return dialect === 'glsl' ? [...own, whole('function toInt(v) { return v; }', 'Number')] : own;
}
