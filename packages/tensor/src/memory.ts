/**
 * @file Freeing tensors. `scope(f)` frees what was made inside it and not returned, at once. A tensor made outside every scope is freed
 * when the garbage collector finds it; backends see to it that the collector knows of the bytes behind it.
 */
import { refusePromise } from './given.ts';
import type { ReadWatcher } from './lifetime.ts';
import { checkTensor, disposal, lifetimes, Tensor } from './tensor.ts';

/**
 * Frees a tensor now, whoever made it. Twice is harmless. Libraries use it; user code uses `scope`, or `dispose`.
 * @param by what did it, the end of the sentence "tensor [2] was freed ..." for whoever uses it later
 */
export const release = (tensor: Tensor, by?: string): void => lifetimes.release(tensor, by);

const pinned = new WeakSet<Tensor>();

/** Whether `keep` was called on it. */
export const isPinned = (tensor: Tensor): boolean => pinned.has(tensor);

/** Takes a tensor out of all scopes: it lives until `release`, or until the garbage collector finds it. @throws TypeError for anything else */
export function keep<T extends Tensor>(tensor: T): T {
  checkTensor('keep', tensor);
  pinned.add(tensor);
  lifetimes.disown(tensor);
  return tensor;
}

/**
 * Calls `visit` on every tensor in a value: a tensor, or arrays, maps, sets and objects of them, however deep. Each object is entered
 * once, so that a value may refer to itself.
 */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void, seen = new Set<object>()): void {
  if (value instanceof Tensor) visit(value);
  else if (value !== null && typeof value === 'object' && !ArrayBuffer.isView(value) && !seen.has(value)) {
    seen.add(value);
    const listed = Array.isArray(value) || value instanceof Map || value instanceof Set;
    const items = listed ? value.values() : Object.values(value);
    for (const item of items) forEachTensor(item, visit, seen);
  }
}

let donated: readonly Tensor[] = [];

/**
 * Runs `f`, after which nobody reads `tensors` (JAX: donate_argnums). While `f` runs, `freeDonated` frees one of them early, and a kernel
 * whose contract `aliases` one writes its result over it. So that kernel must be the last in `f` to read it. The caller releases the
 * tensors afterwards.
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

/** Frees `x` if the caller donated it. Nobody may read it from here on. */
export function freeDonated(x: Tensor): void {
  if (donated.includes(x)) release(x);
}

/**
 * Whether a kernel may write its result over this tensor now. It must be donated, no other tensor may share its memory, its values must be
 * 32-bit floats in the memory of this process, and no tape may read it later.
 */
export const mayAlias = (x: Tensor): boolean =>
  donated.includes(x) && x.storage.refs === 1 && !x.storage.bf16 && x.backend.synchronous && !isSavedForBackward(x);

/** Whether a tape will still read a tensor. */
export type SavedPredicate = (tensor: Tensor) => boolean;

const savers: SavedPredicate[] = [];

/** Whether any open gradient tape will still read a tensor. */
export const isSavedForBackward: SavedPredicate = (tensor) => savers.some((keeps) => keeps(tensor));

/** Runs `f`. Scopes that end inside it pass the tensors that `keeps` names to the enclosing scope instead of freeing them. For gradient tapes. */
export function savingForBackward<R>(keeps: SavedPredicate, f: () => R): R {
  savers.push(keeps);
  try {
    return f();
  } finally {
    savers.splice(savers.lastIndexOf(keeps), 1);
  }
}

/** Sets the function that is called at every `readSync` and `run`, and returns the former one. For gradient tapes. */
export function watchReads(watch: ReadWatcher<Tensor> | null): ReadWatcher<Tensor> | null {
  const before = lifetimes.watcher;
  lifetimes.watcher = watch;
  return before;
}

/** The tensors of a scope that has ended: those that nobody reads later are freed, the others pass to the enclosing scope. */
function settle(mine: Set<Tensor>, result: unknown): void {
  forEachTensor(result, (tensor) => {
    if (mine.delete(tensor)) lifetimes.adopt(tensor);
  });
  for (const tensor of mine) {
    if (isSavedForBackward(tensor)) lifetimes.adopt(tensor);
    else release(tensor);
  }
}

/**
 * A scope that lasts until the end of a block: `using s = scope();`. It frees what was made since, except what was given to `pass`.
 * The block must not wait for a promise: what others make meanwhile would be freed too.
 */
export class Scope {
  private readonly mine = lifetimes.open();
  private readonly passed: unknown[] = [];

  /** Leaves the tensors in a value to the enclosing scope. @returns the value */
  pass<T>(value: T): T {
    this.passed.push(value);
    return value;
  }

  /** Ends the scope. Twice is harmless. @throws Error while a scope that began later is still open */
  dispose(): void {
    const standing = lifetimes.standing(this.mine);
    if (standing === 'closed') return;
    if (standing === 'open') {
      throw new Error('scope: it ended before a scope that began later; end them in reverse order, as `using` does');
    }
    lifetimes.close(this.mine);
    settle(this.mine, this.passed);
  }

  [disposal](): void {
    this.dispose();
  }
}

/** A scope that lasts until the end of a block: `using s = scope();`. */
export function scope(): Scope;
/**
 * Runs `f` and frees every tensor made inside it, except those in the returned value (a tensor, or arrays, maps, sets and plain
 * objects of them) and those a gradient still has to read, which pass to the enclosing scope.
 * `f` must be synchronous: read with `readSync()` inside, or return the tensor and `await` outside.
 * @throws TypeError if `f` returns a promise
 */
export function scope<R>(f: () => R): R;
export function scope<R>(f?: () => R): R | Scope {
  if (f === undefined) return new Scope();
  const mine = lifetimes.open();
  let result: R;
  try {
    result = f();
    refusePromise('scope', result);
  } catch (error) {
    lifetimes.close(mine);
    for (const tensor of mine) release(tensor);
    throw error;
  }
  lifetimes.close(mine);
  settle(mine, result);
  return result;
}
