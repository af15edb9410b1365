/** @file The lifetime of a tensor: the scope that owns it, the moment its storage is freed, and the watcher of its reads. */
import type { Storage } from './backend.ts';

/** The part of a tensor that lifetimes are about. */
interface Owner {
  readonly storage: Storage;
  freed: boolean;
}

/** The last tensor on a storage frees it. */
const giveBack = (storage: Storage): void => {
  if (--storage.refs === 0) storage.backend.free(storage);
};

/** Called with a tensor whose values are used in a way that no tape records: by `readSync`, or by the kernel named `how`. */
export type ReadWatcher<T> = (tensor: T, how: string) => void;

/** Scopes and freeing. The one instance is in tensor.ts, and memory.ts has the functions that others call. */
export class Lifetimes<T extends Owner> {
  private readonly scopes: Set<T>[] = [];
  // It holds the storage alone, because holding the tensor would keep it alive for ever.
  private readonly collected = new FinalizationRegistry<Storage>(giveBack);
  /** For gradient tapes. */
  watcher: ReadWatcher<T> | null = null;

  /** Registers a tensor with the innermost scope. */
  adopt(tensor: T): void {
    const scope = this.scopes.at(-1);
    if (scope) scope.add(tensor);
    else this.collected.register(tensor, tensor.storage, tensor);
  }

  /** Frees a tensor now. Twice is harmless. */
  release(tensor: T): void {
    if (tensor.freed) return;
    tensor.freed = true;
    for (let i = this.scopes.length - 1; i >= 0; i--) if (this.scopes[i].delete(tensor)) break;
    this.collected.unregister(tensor);
    giveBack(tensor.storage);
  }

  /** Takes a tensor out of its scope. */
  disown(tensor: T): void {
    for (const scope of this.scopes) {
      if (scope.delete(tensor)) {
        this.collected.register(tensor, tensor.storage, tensor);
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

  /** Closes the innermost scope. */
  close(): void {
    this.scopes.pop();
  }
}
