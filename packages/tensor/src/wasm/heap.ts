/**
 * @file Allocation inside one WebAssembly.Memory. Freed blocks are kept in lists by size class and handed out again: the pages
 * behind them are warm, and touching new ones costs about a millisecond per megabyte.
 */

const PAGE = 65536;
/** Kernels may read up to this far past the end of a tensor. */
const SLACK = 256;

/** Index and byte size of the class that holds `bytes`: multiples of 64 up to 256, then four steps to each power of two. */
export function sizeClass(bytes: number): { index: number; size: number } {
  if (bytes <= 256) {
    const steps = Math.max(1, Math.ceil(bytes / 64));
    return { index: steps - 1, size: steps * 64 };
  }
  const power = 31 - Math.clz32(bytes - 1);
  const step = ((bytes - 1) >>> (power - 2)) & 3;
  return { index: (power - 7) * 4 + step, size: (5 + step) * 2 ** (power - 2) };
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 2 : 0)} MiB`;

export class Heap {
  readonly memory: WebAssembly.Memory;
  /** Bytes asked for by the blocks now in use. */
  bytesInUse = 0;
  private top: number;
  private readonly limit: number;
  private readonly grown: () => void;
  private readonly lists: number[][] = [];
  /** While `apart` runs: what was freed in it. */
  private own: number[][] | null = null;

  /**
   * @param start the first address it may hand out
   * @param maximumPages the memory's maximum, in pages of 64 KiB
   * @param grown called after each growth, when views of the old buffer may be dead
   */
  constructor(memory: WebAssembly.Memory, start: number, maximumPages: number, grown: () => void) {
    this.memory = memory;
    this.top = Math.ceil(start / 64) * 64;
    this.limit = maximumPages * PAGE - SLACK;
    this.grown = grown;
  }

  /**
   * The address of a block of at least `bytes` bytes, a multiple of 64; its content is undefined.
   * @throws Error when the memory is full
   */
  allocate(bytes: number): number {
    const { index, size } = bytes < 2 ** 32 ? sizeClass(bytes) : { index: Number.POSITIVE_INFINITY, size: bytes };
    const own = this.own?.[index];
    const free = own !== undefined && own.length > 0 ? own : this.lists[index];
    const address =
      free !== undefined && free.length > 0 ? free.pop()! : (this.extend(size) ?? this.fromLargerClass(index));
    if (address === undefined) {
      throw new Error(
        `out of memory: ${mebibytes(bytes)} asked for with ${mebibytes(this.bytesInUse)} in use, the limit is ` +
          `${mebibytes(this.limit)}; wrap each step in scope(...), which frees what was made inside it`,
      );
    }
    this.bytesInUse += bytes;
    return address;
  }

  /** A block that is never given back and not counted: working memory of a thread. @throws Error when the memory is full */
  reserve(bytes: number): number {
    const address = this.extend(Math.ceil(bytes / 64) * 64);
    if (address === undefined) throw new Error(`out of memory: no room for ${mebibytes(bytes)} of working memory`);
    return address;
  }

  /** Gives back a block that `allocate(bytes)` returned. */
  free(address: number, bytes: number): void {
    const { index } = sizeClass(bytes);
    const lists = this.own ?? this.lists;
    (lists[index] ??= []).push(address);
    this.bytesInUse -= bytes;
  }

  /** Runs `f`. Blocks freed in it are handed out in it alone, and kept back until the returned function is called. */
  apart(f: () => void): () => void {
    const own: number[][] = [];
    const giveBack = () => {
      own.forEach((free, index) => {
        (this.lists[index] ??= []).push(...free.splice(0));
      });
    };
    this.own = own;
    try {
      f();
    } catch (error) {
      giveBack();
      throw error;
    } finally {
      this.own = null;
    }
    return giveBack;
  }

  /** New space at the top, growing the memory if need be; undefined if there is none left. */
  private extend(size: number): number | undefined {
    const address = this.top;
    const end = address + size;
    if (end > this.limit) return undefined;
    const present = this.memory.buffer.byteLength;
    if (end + SLACK > present) {
      const need = Math.ceil((end + SLACK - present) / PAGE);
      // Growing in larger steps makes it rare; untouched pages cost nothing.
      const generous = Math.min(Math.max(need, Math.floor(present / PAGE / 4)), (this.limit + SLACK - present) / PAGE);
      try {
        this.memory.grow(generous);
      } catch {
        try {
          this.memory.grow(need);
        } catch {
          return undefined;
        }
      }
      this.grown();
    }
    this.top = end;
    return address;
  }

  /** A block of a larger class. It goes back to the smaller class when freed: better than failing. */
  private fromLargerClass(index: number): number | undefined {
    for (let i = index + 1; i < this.lists.length; i++) {
      const list = this.lists[i];
      if (list !== undefined && list.length > 0) return list.pop();
    }
    return undefined;
  }
}
