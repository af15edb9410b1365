/** @file Free blocks of any size: the smallest that fits is taken and cut, neighbours join. */

export class FreeSpace {
  /** Sizes by address, in bins by the power of two below the size. */
  private readonly bins: Map<number, number>[] = [];
  /** Sizes by address, addresses by end. */
  private readonly sizes = new Map<number, number>();
  private readonly starts = new Map<number, number>();

  /** Cuts `size` bytes from the smallest block that has them; undefined if none has. */
  take(size: number): number | undefined {
    for (let bin = binOf(size); bin < this.bins.length; bin++) {
      let best: number | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const [address, has] of this.bins[bin] ?? []) {
        if (has < size || has >= least) continue;
        [best, least] = [address, has];
        if (has === size) break;
      }
      if (best === undefined) continue;
      this.remove(best);
      if (least > size) this.add(best + size, least - size);
      return best;
    }
    return undefined;
  }

  /** A free block, which joins with the free ones before and behind it. */
  put(address: number, size: number): void {
    let [start, end] = [address, address + size];
    const before = this.starts.get(start);
    if (before !== undefined) {
      this.remove(before);
      start = before;
    }
    const behind = this.sizes.get(end);
    if (behind !== undefined) {
      this.remove(end);
      end += behind;
    }
    this.add(start, end - start);
  }

  /** The address of the free block that ends there, if one does. */
  startOfEnding(end: number): number | undefined {
    return this.starts.get(end);
  }

  /** Takes out the block at this address, if there is one. */
  remove(address: number): void {
    const size = this.sizes.get(address);
    if (size === undefined) return;
    this.sizes.delete(address);
    this.starts.delete(address + size);
    this.bins[binOf(size)].delete(address);
  }

  /** All blocks, address and size; none is left. */
  takeAll(): [address: number, size: number][] {
    const all = [...this.sizes];
    for (const [address] of all) this.remove(address);
    return all;
  }

  private add(address: number, size: number): void {
    this.sizes.set(address, size);
    this.starts.set(address + size, address);
    const bin = binOf(size);
    (this.bins[bin] ??= new Map()).set(address, size);
  }
}

/** floor(log2 size), for sizes from 1 up. */
const binOf = (size: number): number => Math.floor(Math.log2(size));
