/** @file Stop texts in a stream of bytes. A byte that may be the beginning of one is held back until it is known. */

/** Finds the first of several stop texts in bytes that come one by one. */
export class StopSearch {
  private readonly stops: readonly Uint8Array[];
  private readonly held: number[] = [];

  /** @param stops none of them empty */
  constructor(stops: readonly Uint8Array[]) {
    this.stops = stops;
  }

  /**
   * Takes one more byte.
   * @returns how many of the bytes held back are free now, in their order; and whether a stop text is complete, which is never freed
   */
  push(byte: number): { readonly free: number; readonly stopped: boolean } {
    const { held } = this;
    held.push(byte);
    for (const stop of this.stops) {
      if (!this.endsWith(stop, stop.length)) continue;
      const free = held.length - stop.length;
      held.length = 0;
      return { free, stopped: true };
    }
    let kept = 0;
    for (const stop of this.stops) {
      for (let n = Math.min(stop.length - 1, held.length); n > kept; n--) if (this.endsWith(stop, n)) kept = n;
    }
    const free = held.length - kept;
    held.splice(0, free);
    return { free, stopped: false };
  }

  /** The text has ended: everything held back is free. */
  end(): number {
    return this.held.splice(0).length;
  }

  /** Whether the held bytes end with the first `n` of `stop`. */
  private endsWith(stop: Uint8Array, n: number): boolean {
    const { held } = this;
    if (n > held.length) return false;
    for (let i = 0; i < n; i++) if (held[held.length - n + i] !== stop[i]) return false;
    return true;
  }
}
