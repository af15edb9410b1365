/**
 * @file XXH64 with the seed 0, of which a frame of zstd keeps the lower half. The bulk is computed in pairs of 32 bits, because BigInt takes
 * a hundred times as long.
 * @see RFC 8878, section 3.1.1, and https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */

const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];
const STRIPE = 32;
const [P1_LOW, P1_HIGH] = [0x85ebca87, 0x9e3779b1];
const [P2_LOW, P2_HIGH] = [0x27d4eb4f, 0xc2b2ae3d];

const u64 = (x: bigint): bigint => BigInt.asUintN(64, x);
const rotated = (x: bigint, by: bigint): bigint => u64((x << by) | (x >> (64n - by)));
const mixed = (sum: bigint, word: bigint): bigint => u64(rotated(u64(sum + word * P2), 31n) * P1);

/** The upper half of the product of two numbers of 32 bits. */
function upper(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  return aHigh * bHigh + (cross >>> 16) + ((aLow * bHigh + (cross & 0xffff)) >>> 16);
}

/** The hash of bytes that come in pieces. */
export class Xxh64 {
  /** Four sums, each with its lower half first. */
  private readonly sums = new Uint32Array(8);
  private readonly held = new Uint8Array(STRIPE);
  private heldBytes = 0;
  private total = 0;

  constructor() {
    new BigUint64Array(this.sums.buffer).set([u64(P1 + P2), P2, 0n, u64(-P1)]);
  }

  update(bytes: Uint8Array): void {
    this.total += bytes.length;
    let from = 0;
    if (this.heldBytes > 0) {
      from = Math.min(STRIPE - this.heldBytes, bytes.length);
      this.held.set(bytes.subarray(0, from), this.heldBytes);
      this.heldBytes += from;
      if (this.heldBytes < STRIPE) return;
      this.stripes(this.held, 0, STRIPE);
    }
    const end = bytes.length - ((bytes.length - from) % STRIPE);
    this.stripes(bytes, from, end);
    this.held.set(bytes.subarray(end));
    this.heldBytes = bytes.length - end;
  }

  /** The hash of all bytes so far. */
  digest(): bigint {
    const view = new DataView(this.held.buffer, 0, this.heldBytes);
    let hash = u64((this.total < STRIPE ? P5 : this.joined()) + BigInt(this.total));
    let at = 0;
    for (; at + 8 <= this.heldBytes; at += 8) {
      hash = u64(rotated(hash ^ mixed(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
    }
    if (at + 4 <= this.heldBytes) {
      hash = u64(rotated(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
      at += 4;
    }
    for (; at < this.heldBytes; at++) hash = u64(rotated(hash ^ u64(BigInt(this.held[at]) * P5), 11n) * P1);
    hash = u64((hash ^ (hash >> 33n)) * P2);
    hash = u64((hash ^ (hash >> 29n)) * P3);
    return hash ^ (hash >> 32n);
  }

  private joined(): bigint {
    const sums = [...new BigUint64Array(this.sums.buffer)];
    const start = sums.reduce((all, sum, i) => all + rotated(sum, [1n, 7n, 12n, 18n][i]), 0n);
    return sums.reduce((all, sum) => u64((all ^ mixed(0n, sum)) * P1 + P4), u64(start));
  }

  /** For each word: sum = rotate(sum + word * P2, 31) * P1. */
  private stripes(bytes: Uint8Array, from: number, end: number): void {
    const { sums } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = from; at < end; at += 8) {
      const i = ((at - from) >>> 2) & 6;
      const [wordLow, wordHigh] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
      const productHigh = upper(wordLow, P2_LOW) + Math.imul(wordLow, P2_HIGH) + Math.imul(wordHigh, P2_LOW);
      const sum = sums[i] + (Math.imul(wordLow, P2_LOW) >>> 0);
      const low = sum >>> 0;
      const high = (sums[i + 1] + productHigh + (sum > low ? 1 : 0)) | 0;
      const turnedLow = ((low << 31) | (high >>> 1)) >>> 0;
      const turnedHigh = (high << 31) | (low >>> 1);
      sums[i] = Math.imul(turnedLow, P1_LOW);
      sums[i + 1] = upper(turnedLow, P1_LOW) + Math.imul(turnedLow, P1_HIGH) + Math.imul(turnedHigh, P1_LOW);
    }
  }
}
