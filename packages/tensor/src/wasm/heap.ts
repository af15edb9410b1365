/**
 * @file Allocation inside one WebAssembly.Memory. What is freed is handed out again: the pages behind it are warm, and touching new
 * ones costs about a millisecond per megabyte. Small blocks are kept by size class; large ones are cut to size, and join again
 * with free neighbours, so that the memory is hardly larger than what is in use at most.
 *
 * Several heaps may share one memory, each in a thread of its own. The end of what any of them has taken is a word in the memory.
 */
import { TOP } from './arguments/layout.ts';
import { FreeSpace } from './free-space.ts';

const PAGE = 65536;
/** Blocks begin at multiples of this many bytes, and TOP counts in them. */
const UNIT = 64;
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

/** Blocks of more bytes than this are cut to size, smaller ones are of a class. */
const LARGEST_SMALL = 16384;
/** Small blocks are cut from pieces of this many bytes, so that they do not stand between large ones. */
const SLAB = 262144;

const aligned = (bytes: number): number => Math.ceil(bytes / UNIT) * UNIT;

/** Free blocks: small ones by class, large ones in one space. */
class Free {
  readonly small: number[][] = [];
  readonly large = new FreeSpace();

  takeSmall(index: number): number | undefined {
    return this.small[index]?.pop();
  }

  put(address: number, bytes: number): void {
    if (bytes > LARGEST_SMALL) this.large.put(address, aligned(bytes));
    else (this.small[sizeClass(bytes).index] ??= []).push(address);
  }

  moveTo(other: Free): void {
    this.small.forEach((free, index) => {
      other.small[index] = (other.small[index] ?? []).concat(free.splice(0));
    });
    for (const [address, size] of this.large.takeAll()) other.large.put(address, size);
  }
}

/** Part of the limit from which there is a warning. What no scope owns has moved out long before. */
const WARNED_OF = 7 / 8;

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 2 : 0)} MiB`;

/** Hands out blocks of one WebAssembly memory, which it grows when needed. */
export class Heap {
  readonly memory: WebAssembly.Memory;
  /** Bytes asked for by the blocks now in use. */
  bytesInUse = 0;
  /** Bytes that it can have at most. */
  readonly limit: number;
  /** Asked for room when the memory is full. @returns whether some was made */
  whenFull: () => boolean = () => false;
  private readonly grown: () => void;
  /** The word TOP, and the bytes of the memory that views of it reach to. */
  private top!: Int32Array;
  private mapped = 0;
  private warned = false;
  private readonly unused = new Free();
  /** While `apart` runs: the blocks that were freed in it. */
  private own: Free | null = null;
  /** The free rest of the newest slab. */
  private slab = { at: 0, end: 0 };

  /**
   * @param start the first address that may be handed out; null for another heap on a memory that has one
   * @param maximumPages the memory's maximum, in pages of 64 KiB
   * @param grown called when the memory has grown: views of the old buffer are too short, or dead
   */
  constructor(memory: WebAssembly.Memory, start: number | null, maximumPages: number, grown: () => void) {
    this.memory = memory;
    this.limit = maximumPages * PAGE - SLACK;
    this.map();
    if (start !== null) Atomics.store(this.top, 0, Math.ceil(start / UNIT));
    this.grown = grown;
  }

  private map(): void {
    const { buffer } = this.memory;
    this.mapped = buffer.byteLength;
    this.top = new Int32Array(buffer, TOP, 1);
  }

  /** Sees to it that views of the memory reach up to the address `end`, although another thread may have grown it. */
  cover(end: number): void {
    if (end <= this.mapped) return;
    // An engine may show a growth in another thread only now.
    this.memory.grow(0);
    this.map();
    this.grown();
  }

  /**
   * The address of a block of at least `bytes` bytes, a multiple of 64; its content is undefined.
   * @throws Error when the memory is full
   */
  allocate(bytes: number): number {
    let address = this.find(bytes);
    while (address === undefined && this.whenFull()) address = this.find(bytes);
    if (address === undefined) {
      throw new Error(
        `out of memory: ${mebibytes(bytes)} asked for with ${mebibytes(this.bytesInUse)} in use, the limit is ` +
          `${mebibytes(this.limit)}; wrap each step in scope(...), which frees what was made inside it`,
      );
    }
    this.bytesInUse += bytes;
    if (this.bytesInUse > WARNED_OF * this.limit && !this.warned) this.warn();
    return address;
  }

  private warn(): void {
    this.warned = true;
    console.warn(
      `blt-ts: ${mebibytes(this.bytesInUse)} of tensors are in use, the limit is ${mebibytes(this.limit)}; if they grow with every step, wrap each step in scope(...), which frees what was made inside it`,
    );
  }

  private find(bytes: number): number | undefined {
    return bytes > LARGEST_SMALL ? this.large(aligned(bytes)) : this.small(sizeClass(bytes));
  }

  private large(size: number): number | undefined {
    return this.own?.large.take(size) ?? this.unused.large.take(size) ?? this.extend(size);
  }

  private small({ index, size }: { index: number; size: number }): number | undefined {
    const free = this.own?.takeSmall(index) ?? this.unused.takeSmall(index);
    if (free !== undefined) return free;
    if (this.slab.at + size > this.slab.end) {
      // Not from blocks freed in `apart`, because the rest of the slab is for everybody.
      const at = this.unused.large.take(SLAB) ?? this.extend(SLAB);
      // In a memory too full for a slab, the block alone.
      if (at === undefined) return this.large(size);
      this.slab = { at, end: at + SLAB };
    }
    const { at } = this.slab;
    this.slab.at += size;
    return at;
  }

  /** A block that is never given back and not counted: working memory of a thread. @throws Error when the memory is full */
  reserve(bytes: number): number {
    const address = this.extend(aligned(bytes));
    if (address === undefined) throw new Error(`out of memory: no room for ${mebibytes(bytes)} of working memory`);
    return address;
  }

  /** Gives back a block that `allocate(bytes)` returned. */
  free(address: number, bytes: number): void {
    (this.own ?? this.unused).put(address, bytes);
    this.bytesInUse -= bytes;
  }

  /** Runs `f`. Blocks freed in it are handed out in it alone, and kept back until the returned function is called. */
  apart(f: () => void): () => void {
    const own = new Free();
    const giveBack = () => own.moveTo(this.unused);
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

  /** Space at the top, growing the memory if need be; undefined if there is none left. */
  private extend(size: number): number | undefined {
    for (;;) {
      const before = Atomics.load(this.top, 0);
      const top = before * UNIT;
      // A free block that ends at the top is part of it.
      const address = this.unused.large.startOfEnding(top) ?? top;
      const end = address + size;
      if (end > this.limit || !this.reaches(end + SLACK)) return undefined;
      // Another heap may have taken it meanwhile.
      if (Atomics.compareExchange(this.top, 0, before, end / UNIT) !== before) continue;
      this.unused.large.remove(address);
      return address;
    }
  }

  /** Whether the memory reaches up to `end`, grown if need be. */
  private reaches(end: number): boolean {
    if (end <= this.mapped) return true;
    const present = this.memory.buffer.byteLength;
    const need = Math.ceil((end - present) / PAGE);
    // Growing in larger steps makes it rare; untouched pages cost nothing.
    const generous = Math.min(Math.max(need, Math.floor(present / PAGE / 4)), (this.limit + SLACK - present) / PAGE);
    // Growing by 0 shows what another thread has grown.
    for (const pages of need > 0 ? [generous, need, 0] : [0]) {
      try {
        this.memory.grow(pages);
        this.map();
        this.grown();
        if (end <= this.mapped) return true;
      } catch {}
    }
    return false;
  }
}
