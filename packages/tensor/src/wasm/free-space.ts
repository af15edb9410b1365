/** @file Free blocks of any size: the first that fits is taken and cut, neighbours join. */

/**
 * Two lists in the order of addresses. There are some dozens of blocks: looking through all of them takes less time than keeping an
 * index, and leaves nothing to the garbage collector.
 */
export class FreeSpace {
  private readonly starts: number[] = [];
  private readonly sizes: number[] = [];

  /** Cuts `size` bytes from the first block that has them; undefined if none has. */
  take(size: number): number | undefined {
    const { starts, sizes } = this;
    for (let i = 0; i < sizes.length; i++) {
      if (sizes[i] < size) continue;
      const start = starts[i];
      if (sizes[i] === size) this.drop(i);
      else {
        starts[i] += size;
        sizes[i] -= size;
      }
      return start;
    }
    return undefined;
  }

  /** A free block, which joins with the free ones before and behind it. */
  put(address: number, size: number): void {
    const { starts, sizes } = this;
    const next = this.after(address);
    const joinsBefore = next > 0 && starts[next - 1] + sizes[next - 1] === address;
    const joinsBehind = next < starts.length && starts[next] === address + size;
    if (joinsBefore && joinsBehind) {
      sizes[next - 1] += size + sizes[next];
      this.drop(next);
    } else if (joinsBefore) sizes[next - 1] += size;
    else if (joinsBehind) {
      starts[next] = address;
      sizes[next] += size;
    } else this.insert(next, address, size);
  }

  /** The address of the free block that ends there, if one does. */
  startOfEnding(end: number): number | undefined {
    const before = this.after(end) - 1;
    return before >= 0 && this.starts[before] + this.sizes[before] === end ? this.starts[before] : undefined;
  }

  /** Takes out the block at this address, if there is one. */
  remove(address: number): void {
    const at = this.after(address) - 1;
    if (at >= 0 && this.starts[at] === address) this.drop(at);
  }

  /** All blocks, address and size; none is left. */
  takeAll(): [address: number, size: number][] {
    const sizes = this.sizes.splice(0);
    return this.starts.splice(0).map((start, i) => [start, sizes[i]]);
  }

  /** How many blocks begin at or before an address. */
  private after(address: number): number {
    let [low, high] = [0, this.starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Array.splice would make an array of what it takes out, at every allocation.
  private drop(at: number): void {
    const { starts, sizes } = this;
    for (let i = at + 1; i < starts.length; i++) {
      starts[i - 1] = starts[i];
      sizes[i - 1] = sizes[i];
    }
    starts.pop();
    sizes.pop();
  }

  private insert(at: number, start: number, size: number): void {
    const { starts, sizes } = this;
    starts.push(start);
    sizes.push(size);
    for (let i = starts.length - 1; i > at; i--) {
      starts[i] = starts[i - 1];
      sizes[i] = sizes[i - 1];
    }
    starts[at] = start;
    sizes[at] = size;
  }
}
