/**
 * @file Who frees a tensor. `scope(f)` frees what was made inside it and not returned; a tensor made outside every scope is
 * freed when the garbage collector finds it, which is late: the collector sees small wrappers, not the megabytes behind them.
 */
import { Tensor } from './tensor.ts';

const scopes: Set<Tensor>[] = [];

const collected = new FinalizationRegistry<() => void>((free) => free());

/** Registers a new tensor with the innermost scope. */
export function adopt(tensor: Tensor): void {
  const scope = scopes.at(-1);
  if (scope) scope.add(tensor);
  else collected.register(tensor, releaser(tensor), tensor);
}

// A closure over the storage alone: one over the tensor would keep it alive for ever.
function releaser(tensor: Tensor): () => void {
  const { storage } = tensor;
  return () => {
    if (--storage.refs === 0) storage.backend.free(storage);
  };
}

/** Frees a tensor now, whoever made it. Twice is harmless. Libraries use it; user code uses `scope`. */
export function release(tensor: Tensor): void {
  if (tensor.freed) return;
  tensor.freed = true;
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i].delete(tensor)) break;
  collected.unregister(tensor);
  const { storage } = tensor;
  if (--storage.refs === 0) storage.backend.free(storage);
}

const pinned = new WeakSet<Tensor>();

/** Whether somebody asked to `keep` it. */
export const isPinned = (tensor: Tensor): boolean => pinned.has(tensor);

/** Takes a tensor out of all scopes: it lives until `release`, or until the garbage collector finds it. */
export function keep<T extends Tensor>(tensor: T): T {
  pinned.add(tensor);
  for (const scope of scopes) {
    if (scope.delete(tensor)) {
      collected.register(tensor, releaser(tensor), tensor);
      break;
    }
  }
  return tensor;
}

/**
 * Calls `visit` on every tensor in a value: a tensor, or arrays, maps and objects of them, however deep. Each object is entered
 * once, so that a value may refer to itself.
 */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void, seen = new Set<object>()): void {
  if (value instanceof Tensor) visit(value);
  else if (value !== null && typeof value === 'object' && !ArrayBuffer.isView(value) && !seen.has(value)) {
    seen.add(value);
    const items = Array.isArray(value) ? value : value instanceof Map ? value.values() : Object.values(value);
    for (const item of items) forEachTensor(item, visit, seen);
  }
}

let donated: readonly Tensor[] = [];

/**
 * Runs `f`, after which nobody reads `tensors`. `f` may free one before its end (`freeDonated`), and a kernel in it that can (`aliases` in
 * the contract) writes its result over one, so it must be the last in `f` to read it. They are still to be released.
 */
export function donating<R>(tensors: readonly Tensor[], f: () => R): R {
  const before = donated;
  donated = tensors;
  try {
    return f();
  } finally {
    donated = before;
  }
}

/** Frees `x` if this runs in a `donating` of it: from here on nobody reads it. */
export function freeDonated(x: Tensor): void {
  if (donated.includes(x)) release(x);
}

/**
 * Whether a kernel may write over this tensor now: not if its memory is seen under another shape too or holds no floats of 32 bits, nor
 * if a tape will read it.
 */
export const mayAlias = (x: Tensor): boolean =>
  donated.includes(x) && x.storage.refs === 1 && !x.storage.bf16 && x.backend.synchronous && !isSavedForBackward(x);

/** Says of a tensor whether it will still be read. */
export type SavedPredicate = (tensor: Tensor) => boolean;

const savers: SavedPredicate[] = [];

/** Whether a gradient tape (any keeper) still needs a tensor that would be freed otherwise. */
export const isSavedForBackward: SavedPredicate = (tensor) => savers.some((keeps) => keeps(tensor));

/** Runs `f` while scopes that end inside it pass what `keeps` asks for to the enclosing one. For gradient tapes. */
export function savingForBackward<R>(keeps: SavedPredicate, f: () => R): R {
  savers.push(keeps);
  try {
    return f();
  } finally {
    savers.splice(savers.lastIndexOf(keeps), 1);
  }
}

/** Told of a tensor whose values are used in a way that no tape records, and how. */
type ReadWatcher = (tensor: Tensor, how: string) => void;

let watcher: ReadWatcher | null = null;

/** Sets who is told of `readSync` and `run`, and returns who was before. For gradient tapes. */
export function watchReads(watch: ReadWatcher | null): ReadWatcher | null {
  const before = watcher;
  watcher = watch;
  return before;
}

export const tellOfRead: ReadWatcher = (tensor, how) => watcher?.(tensor, how);

/**
 * Runs `f` and frees every tensor made inside it, except those in the returned value (a tensor, or arrays, maps and plain
 * objects of them) and those a gradient still has to read, which pass to the enclosing scope.
 * `f` must be synchronous: read with `readSync()` inside, or return the tensor and `await` outside.
 * @throws TypeError if `f` returns a promise
 */
export function scope<R>(f: () => R): R {
  const mine = new Set<Tensor>();
  scopes.push(mine);
  let result: R;
  try {
    result = f();
    if (result instanceof Promise) {
      throw new TypeError('scope: the function returned a promise; make it synchronous and await the result outside');
    }
  } catch (error) {
    scopes.pop();
    for (const tensor of mine) release(tensor);
    throw error;
  }
  scopes.pop();
  forEachTensor(result, (tensor) => {
    if (mine.delete(tensor)) adopt(tensor);
  });
  for (const tensor of mine) {
    if (isSavedForBackward(tensor)) adopt(tensor);
    else release(tensor);
  }
  return result;
}
