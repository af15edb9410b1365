/** @file The lifetime of a tensor: the scope that owns it, the moment its storage is freed, and the watcher of its reads. */
import type { Storage } from './backend.ts';

/** The part of a tensor that lifetimes are about. */
interface Owner {
  readonly storage: Storage;
  freed: boolean;
  freedBy?: string;
}

/**
 * The collector is told of tensors on a device in portions of so many bytes: V8 collects at once for an array of this size, and when it
 * finds the time for one of 2^26.
 */
const PORTION = 2 ** 28;
/** Bytes on a device from which there is a warning: they wait for the end of a job that does not come. */
const WARNED_OF = 2 ** 32;

/** The last tensor on a storage frees it. */
const giveBack = (storage: Storage): void => {
  if (--storage.refs === 0) storage.backend.free(storage);
};

/** Called with a tensor whose values are used in a way that no tape records: by `readSync`, or by the kernel named `how`. */
export type ReadWatcher<T> = (tensor: T, how: string) => void;

/** Scopes and freeing. The one instance is in tensor.ts, and memory.ts has the functions that others call. */
export class Lifetimes<T extends Owner> {
  private readonly scopes: Set<T>[] = [];
  // For backends that are not told. It holds the storage alone, because holding the tensor would keep it alive for ever.
  private readonly collected = new FinalizationRegistry<Storage>((storage) => {
    this.waiting -= storage.length * 4;
    giveBack(storage);
  });
  /** Bytes registered there, and those among them that the collector has not been told of. */
  private waiting = 0;
  private untold = 0;
  private warned = false;
  /** For gradient tapes. */
  watcher: ReadWatcher<T> | null = null;

  /** Registers a tensor with the innermost scope. */
  adopt(tensor: T): void {
    const scope = this.scopes.at(-1);
    if (scope) scope.add(tensor);
    else this.leave(tensor);
  }

  /** Leaves a tensor to the garbage collector. */
  private leave(tensor: T): void {
    const { storage } = tensor;
    const { backend } = storage;
    if (!backend.unowned) {
      this.collected.register(tensor, storage, tensor);
      this.tell(storage.length * 4, backend.name);
    } else if (!storage.unowned) {
      storage.unowned = true;
      backend.unowned(storage);
    }
  }

  /** The collector sees small wrappers, not the bytes on a device: it is given as many bytes of its own, which cost nothing untouched. */
  private tell(bytes: number, backend: string): void {
    this.waiting += bytes;
    this.untold += bytes;
    if (this.untold < PORTION) return;
    this.untold = 0;
    new ArrayBuffer(PORTION);
    if (this.waiting < WARNED_OF || this.warned) return;
    this.warned = true;
    console.warn(
      `blt-ts: ${Math.round(this.waiting / 2 ** 20)} MiB of tensors on ${backend} belong to no scope, and the garbage collector frees them between jobs only; wrap each step in scope(...)`,
    );
  }

  /**
   * Frees a tensor now. Twice is harmless.
   * @param by the end of a sentence for whoever uses it later; without it, the end of a scope
   */
  release(tensor: T, by?: string): void {
    if (tensor.freed) return;
    tensor.freed = true;
    if (by !== undefined) tensor.freedBy = by;
    for (let i = this.scopes.length - 1; i >= 0; i--) if (this.scopes[i].delete(tensor)) break;
    if (!tensor.storage.backend.unowned && this.collected.unregister(tensor)) this.waiting -= tensor.storage.length * 4;
    giveBack(tensor.storage);
  }

  /** Takes a tensor out of its scope. */
  disown(tensor: T): void {
    for (const scope of this.scopes) {
      if (scope.delete(tensor)) {
        this.leave(tensor);
        break;
      }
    }
  }

  /** Opens a scope: the set of tensors that it owns. */
  open(): Set<T> {
    const scope = new Set<T>();
    this.scopes.push(scope);
    return scope;
  }

  /** Closes a scope. What is in scopes that began later and were left open becomes its own. */
  close(scope: Set<T>): void {
    for (let last = this.scopes.pop(); last !== undefined && last !== scope; last = this.scopes.pop()) {
      for (const tensor of last) scope.add(tensor);
    }
  }

  /** Whether a scope is open, and whether it is the innermost one. */
  standing(scope: Set<T>): 'innermost' | 'open' | 'closed' {
    if (this.scopes.at(-1) === scope) return 'innermost';
    return this.scopes.includes(scope) ? 'open' : 'closed';
  }
}
