/** @file The class Tensor, and tensors made from numbers. */
import { createDefaultBackend } from '#default-backend';
import type { Backend, Storage } from './backend.ts';
import { checkOptions, describe, OWN } from './given.ts';
import { Lifetimes } from './lifetime.ts';
import { format, type Nested, nested } from './printing.ts';
import { checkShape, type DType, formatShape, type Shape, ShapeError, sameShape, sizeOf } from './shape.ts';

declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
}

/** The key of the method that `using` calls; engines without it can still call `dispose`. */
export const disposal: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('Symbol.dispose') as never);

/**
 * An n-d array of one dtype, row-major, on one backend. Values are immutable but for the in-place kernels of the optimiser.
 * Operations return at once; only reading waits.
 */
export class Tensor {
  readonly storage: Storage;
  readonly shape: Shape;
  /** Set by lifetime.ts when the storage has been given back. */
  freed = false;
  /** @internal What freed it, if no scope did. */
  declare freedBy?: string;

  /** @internal Use `tensor`, `zeros`, ... */
  constructor(storage: Storage, shape: Shape) {
    this.storage = storage;
    // A copy, because callers change their arrays later, and kernels would then read beyond the storage.
    this.shape = Object.freeze(shape.slice());
    storage.refs++;
    lifetimes.adopt(this);
  }

  get dtype(): DType {
    return this.storage.dtype;
  }
  get backend(): Backend {
    return this.storage.backend;
  }
  /** @internal */
  get [OWN](): true {
    return true;
  }
  /** Number of elements. */
  get size(): number {
    return this.storage.length;
  }
  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** A copy of the values, row-major. Waits for the device where there is one. */
  read(): Promise<Float32Array | Int32Array> {
    this.assertLive();
    return this.backend.read(this.storage);
  }

  /**
   * A copy of the values, row-major, at once; with `from` and `to`, of those from number `from` on and before number `to`.
   * @throws RangeError unless 0 <= from <= to <= size; Error on a backend that keeps them on a device (use `await read()`), and for a tensor that a gradient is being taken
   *   through, which would not see what is made of them (use `stopGradient`)
   */
  readSync(from = 0, to = this.size): Float32Array | Int32Array {
    this.assertLive();
    lifetimes.watcher?.(this, 'readSync');
    if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= this.size)) {
      throw new RangeError(`readSync: there are no values ${from} to ${to} in a tensor of ${this.size}`);
    }
    return this.backend.readSync(this.storage, from, to);
  }

  /** The only value of a tensor with one element. @throws ShapeError if there are more or fewer */
  item(): number {
    if (this.size !== 1) throw new ShapeError(`item: needs one element, ${formatShape(this.shape)} has ${this.size}`);
    return this.readSync()[0];
  }

  /**
   * Overwrites the values in place. A gradient that still has to read the old ones refuses to go on.
   * @throws ShapeError if their number differs, TypeError or RangeError for one that the dtype cannot hold
   */
  assign(values: ArrayLike<number>): void {
    this.assertLive();
    lifetimes.watcher?.(this, 'assign');
    if (typeof values?.length !== 'number') throw notNumber('assign', values);
    if (values.length !== this.size) {
      throw new ShapeError(`assign: ${values.length} values for ${formatShape(this.shape)}, which holds ${this.size}`);
    }
    checkValues('assign', values, this.dtype);
    overwrite(this.storage, values);
  }

  /**
   * Frees it now, whoever made it; whoever uses it later gets an error that says so. Twice is harmless. `using x = ...` calls it at the
   * end of the block. Nobody has to: a scope frees what was made in it, and the garbage collector the rest.
   */
  dispose(): void {
    lifetimes.release(this, 'by dispose()');
  }

  [disposal](): void {
    this.dispose();
  }

  /** The values as arrays in arrays, one level for each axis; of a scalar the number. @throws as `readSync` */
  tolist(): Nested {
    return nested(this.shape, this.readSync());
  }

  /** The form that `JSON.stringify` writes, which is `tolist()`. JSON has no NaN and no infinity, and writes null for them. */
  toJSON(): Nested {
    return this.tolist();
  }

  /**
   * The value that JavaScript's operators see. One element is its number, as in `loss > 2` and `total += loss`. A template gets text, and so
   * does a + where there are more elements.
   * @throws TypeError where an operator wants a number and there is not one element, because `x > 0` has no one answer then; and as `readSync`
   */
  [Symbol.toPrimitive](hint: string): string | number {
    if (hint !== 'string' && this.size === 1) return this.item();
    if (hint !== 'number') return this.toString();
    throw new TypeError(
      `a tensor ${formatShape(this.shape)} is not one number, which an operator such as > or - needs; use greater(x, y) or sub(x, y)`,
    );
  }

  /** Dtype, shape and values, long axes abridged. */
  toString(): string {
    if (this.freed) return `Tensor(${this.dtype} ${formatShape(this.shape)}, freed)`;
    if (!this.backend.synchronous) return `Tensor(${this.dtype} ${formatShape(this.shape)} on ${this.backend.name})`;
    lifetimes.watcher?.(this, 'toString');
    return format(this.dtype, this.shape, this.backend.readSync(this.storage));
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /** @internal */
  assertLive(): void {
    if (this.freed) {
      const by = this.freedBy ?? 'when the scope that made it ended; return it from scope(...) to keep it';
      throw new Error(`tensor ${formatShape(this.shape)} was freed ${by}`);
    }
  }
}

/** @internal The one `Lifetimes`: scopes and freeing of all tensors. memory.ts has its public functions. */
export const lifetimes = new Lifetimes<Tensor>();

/** Puts new values into a storage that tensors have read. */
export function overwrite(storage: Storage, values: ArrayLike<number>): void {
  storage.backend.write(storage, values);
  storage.version++;
}

/**
 * Keeps the values of a tensor as BF16 from now on, where its backend can: half the memory, and decoding reads it twice as fast. Each
 * value is rounded to the nearest of 8 significant bits (relative error at most 2^-8), exact if it came from a BF16 file. It is read
 * as a float32 everywhere. For weights that will not be trained. @returns false if the values stay as they are
 */
export function storeAsBf16(x: Tensor): boolean {
  x.assertLive();
  if (!x.backend.storeAsBf16?.(x.storage)) return false;
  x.storage.bf16 = true;
  x.storage.version++;
  return true;
}

let current: Backend | null = null;

/**
 * The backend new tensors are made on. Unless one was chosen it is wasm with all threads, made when it is first asked for, or reference
 * where there is no WebAssembly.
 */
export const defaultBackend = (): Backend => (current ??= createDefaultBackend());

/** Chooses the backend new tensors are made on, or, with null, leaves it to the library again; returns the choice before. */
export function setDefaultBackend(backend: Backend | null): Backend | null {
  if (backend !== null) checkBackend('setDefaultBackend', backend);
  const previous = current;
  current = backend;
  return previous;
}

function checkBackend(op: string, backend: Backend): void {
  if (typeof backend?.allocate !== 'function') {
    throw new TypeError(
      `${op}: backend must be what createWasmBackend or another such function made, got ${describe(backend)}`,
    );
  }
}

/** Where a new tensor lies, and as what. */
export interface TensorOptions {
  /** f32 if left out, i32 for an Int32Array. */
  dtype?: DType;
  /** `defaultBackend()` if left out. */
  backend?: Backend;
}

/** Whole numbers from -2^31 to 2^31 - 1 for i32, numbers for f32. @throws TypeError, RangeError naming the first other value */
function checkValues(op: string, values: ArrayLike<number>, dtype: DType): void {
  if (dtype === 'f32') {
    const last = ArrayBuffer.isView(values) ? Math.min(1, values.length) : values.length;
    for (let i = 0; i < last; i++) if (typeof values[i] !== 'number') throw notNumber(op, values[i]);
    return;
  }
  if (values instanceof Int32Array) return;
  for (let i = 0; i < values.length; i++) {
    if (typeof values[i] !== 'number') throw notNumber(op, values[i]);
    if ((values[i] | 0) !== values[i]) {
      throw new RangeError(
        `${op}: ${values[i]} at position ${i} does not fit dtype i32, which holds whole numbers from -2^31 to 2^31 - 1`,
      );
    }
  }
}

/** @internal */
export const notNumber = (op: string, value: unknown) =>
  new TypeError(`${op}: values are numbers, arrays of them or typed arrays, got ${describe(value)}`);

/** Appends the values to `out` and their sizes to `shape`, which the first row decides. @throws ShapeError for ragged arrays */
function flatten(values: Nested, shape: number[], depth: number, out: number[]): void {
  if (typeof values === 'number') {
    if (depth !== shape.length) throw new ShapeError('tensor: nested arrays of unequal depth');
    out.push(values);
    return;
  }
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) throw notNumber('tensor', values);
  if (shape.length === depth) {
    if (out.length > 0) throw new ShapeError('tensor: nested arrays of unequal depth');
    shape.push(values.length);
  } else if (shape[depth] !== values.length) {
    throw new ShapeError(`tensor: rows of unequal length on axis ${depth}: ${shape[depth]} and ${values.length}`);
  }
  for (const value of values) flatten(value, shape, depth + 1, out);
}

/**
 * A tensor from nested arrays, or from flat values (an array or typed array) and a shape. An Int32Array makes i32.
 * @throws ShapeError if the number of values is not the product of the shape, or rows have unequal lengths; TypeError for what is
 *   no number, RangeError for a value that an i32 cannot hold
 */
export function tensor(values: Nested | ArrayLike<number>, shape?: Shape, options: TensorOptions = {}): Tensor {
  const dtype = checkTensorOptions('tensor', options) ?? (values instanceof Int32Array ? 'i32' : 'f32');
  let flat: ArrayLike<number>;
  let sizes: Shape;
  if (ArrayBuffer.isView(values) || (shape !== undefined && typeof (values as ArrayLike<unknown>)[0] === 'number')) {
    flat = values as ArrayLike<number>;
    if (typeof flat.length !== 'number') throw notNumber('tensor', values);
    sizes = shape ?? [flat.length];
  } else {
    const found: number[] = [];
    const out: number[] = [];
    flatten(values as Nested, found, 0, out);
    flat = out;
    sizes = shape ?? found;
    if (found.length > 1 && !sameShape(sizes, found)) {
      throw new ShapeError(`tensor: nested values have shape ${formatShape(found)}, not ${formatShape(sizes)}`);
    }
  }
  checkShape(sizes, 'tensor');
  if (flat.length !== sizeOf(sizes)) {
    throw new ShapeError(`tensor: ${flat.length} values for shape ${formatShape(sizes)}, which holds ${sizeOf(sizes)}`);
  }
  checkValues('tensor', flat, dtype);
  const backend = options.backend ?? defaultBackend();
  const storage = backend.allocate(dtype, flat.length);
  backend.write(storage, flat);
  return new Tensor(storage, sizes);
}

/** @returns the dtype asked for */
export function checkTensorOptions(op: string, options: TensorOptions): DType | undefined {
  checkOptions(op, options, ['dtype', 'backend']);
  const { dtype, backend } = options;
  if (dtype !== undefined && dtype !== 'f32' && dtype !== 'i32') {
    throw new TypeError(`${op}: dtype must be f32 or i32, got ${describe(dtype)}`);
  }
  if (backend !== undefined) checkBackend(op, backend);
  return dtype;
}

/** @throws TypeError unless `x` is a tensor, saying what it is */
export function checkTensor(what: string, x: unknown): void {
  if (!(x instanceof Tensor)) throw new TypeError(`${what} must be a tensor, got ${describe(x)}`);
}
