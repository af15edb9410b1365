/** @file Training documents that repeat held-out ones, exactly or nearly: with those, held-out figures flatter. */
import { contentHash, type Part, type Split } from './split.ts';

/** Bytes of a shingle, the overlapping pieces that documents are compared by. */
const SHINGLE_BYTES = 16;
/** Most shingles of the held-out part that are kept; the lists of them take 100 MB at most. */
const MOST_SHINGLES = 2 ** 21;
/** With fewer shingles in common, documents are compared as a whole only. */
const FEWEST_SHINGLES = 32;
/** A document is a copy if this share of its shingles, or of the other's, is shared. Documents of Jaccard similarity 0.8 are. */
const COPIED_SHARE = 0.8;
/** Most held-out documents that one shingle leads to, and counts for: text that all share says little about any. */
const MOST_OWNERS = 4;

/** A training document and the held-out one that it repeats. */
export interface Copy {
  readonly train: Part;
  readonly heldOut: Part;
  /** All bytes are equal. */
  readonly exact: boolean;
}

/**
 * The training documents that are equal to a held-out one, hold 80% of one, or have 80% of themselves in one. The rest of the same
 * document is not counted as a copy: a text may repeat itself. At most one pair for each training document, in their order.
 *
 * Documents are compared by FracMinHash: of all shingles of 16 bytes those are kept whose hash is divisible by p, the smallest power of
 * two that keeps at most 2^21 of the held-out part. Up to 2 MB held out, p is 1 and the shares are exact. Documents of fewer than
 * 32 p shingles are only found if they are equal. Time is linear in the bytes, memory is bounded beside what the documents take.
 * @see Broder 1997, On the resemblance and containment of documents; Irber et al. 2022, for the sampling
 */
export function copiesOfHeldOut({ train, heldOut }: Split): Copy[] {
  if (train.length === 0 || heldOut.length === 0) return [];
  const equal = equalTo(heldOut);
  const index = new ShingleIndex(heldOut);
  const copies: Copy[] = [];
  for (const part of train) {
    const same = equal(part);
    const found = same ?? index.repeatedBy(part);
    if (found) copies.push({ train: part, heldOut: found, exact: same !== null });
  }
  return copies;
}

/** The training documents that are equal to an earlier training document. */
export function repeats(train: readonly Part[]): Part[] {
  const lengths = new Map<number, number>();
  for (const { bytes } of train) lengths.set(bytes.length, (lengths.get(bytes.length) ?? 0) + 1);
  const seen = new Set<string>();
  return train.filter((part) => {
    // Only what shares its length with another is hashed.
    if (lengths.get(part.bytes.length) === 1) return false;
    const key = partHash(part);
    if (seen.has(key)) return true;
    seen.add(key);
    return false;
  });
}

const partHash = (part: Part): string => contentHash(part.bytes.length === part.whole.bytes.length ? part.whole : part);

function equalTo(heldOut: readonly Part[]): (part: Part) => Part | null {
  const byHash = new Map<string, Part>();
  const lengths = new Set<number>();
  for (const part of heldOut) {
    lengths.add(part.bytes.length);
    const key = partHash(part);
    if (!byHash.has(key)) byHash.set(key, part);
  }
  return (part) => (lengths.has(part.bytes.length) ? (byHash.get(partHash(part)) ?? null) : null);
}

/** Hashes of the shingles that are kept, in the order of the bytes: the first `count` of `hashes`, which the next call overwrites. */
class Shingles {
  hashes = new Uint32Array(2 ** 12);
  count = 0;

  of(bytes: Uint8Array, mask: number): void {
    this.count = 0;
    if (bytes.length < SHINGLE_BYTES) return;
    let rolling = 0;
    for (let i = 0; i < SHINGLE_BYTES; i++) rolling = (Math.imul(rolling, BASE) + bytes[i] + 1) | 0;
    for (let end = SHINGLE_BYTES; ; end++) {
      const hash = mix(rolling);
      if ((hash & mask) === 0) this.push(hash);
      if (end === bytes.length) return;
      rolling = (Math.imul(rolling, BASE) + bytes[end] - Math.imul(bytes[end - SHINGLE_BYTES] + 1, OLDEST) + 1) | 0;
    }
  }

  private push(hash: number): void {
    if (this.count === this.hashes.length) {
      const larger = new Uint32Array(2 * this.count);
      larger.set(this.hashes);
      this.hashes = larger;
    }
    this.hashes[this.count++] = hash;
  }
}

const BLOCK_BYTES = 2 ** 20;

/** Stretches of a document that hold each of its shingles once. */
function* blocks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from === 0 || from + SHINGLE_BYTES <= bytes.length; from += BLOCK_BYTES) {
    yield bytes.subarray(from, from + BLOCK_BYTES + SHINGLE_BYTES - 1);
  }
}

// A polynomial in BASE modulo 2^32 rolls along in two multiplications; mixed, all its bits are as good as random.
const BASE = 0x01000193;
const OLDEST = ((): number => {
  let power = 1;
  for (let i = 0; i < SHINGLE_BYTES; i++) power = Math.imul(power, BASE);
  return power;
})();

function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** Most bits of a bucket's number. */
const BUCKET_BITS = 20;

/** Shingles of held-out documents as hash * 2^21 + owner, which is exact in a double and sorts by hash first. */
class ShingleList {
  private readonly pairs: Float64Array;
  private filled = 0;
  /** Hashes are kept if these bits are 0. */
  mask: number;

  /** @param sampled p, a power of two */
  constructor(sampled: number, most: number) {
    this.mask = sampled - 1;
    this.pairs = new Float64Array(Math.min(most, 2 * MOST_SHINGLES));
  }

  add(hash: number, owner: number): void {
    if (this.filled === this.pairs.length) this.compact();
    this.pairs[this.filled++] = hash * 2 ** 21 + owner;
  }

  /** Sorted, every shingle of an owner once. */
  sorted(): Float64Array {
    this.compact();
    return this.pairs.subarray(0, this.filled);
  }

  private compact(): void {
    const used = this.pairs.subarray(0, this.filled).sort();
    this.keep((i) => i === 0 || used[i] !== used[i - 1]);
    // Text may happen to have more hashes divisible by p than are to be expected.
    while (this.filled > MOST_SHINGLES) {
      this.mask = 2 * this.mask + 1;
      this.keep((i) => (Math.floor(this.pairs[i] / 2 ** 21) & this.mask) === 0);
    }
  }

  private keep(passes: (i: number) => boolean): void {
    const kept = new Float64Array(this.filled);
    let count = 0;
    for (let i = 0; i < this.filled; i++) if (passes(i)) kept[count++] = this.pairs[i];
    this.pairs.set(kept.subarray(0, count));
    this.filled = count;
  }
}

/** Which held-out documents hold a shingle. */
class ShingleIndex {
  private readonly owners: Part[];
  private readonly shingles = new Shingles();
  private readonly mask: number;
  /** Hashes in ascending order, and the owner of each. */
  private readonly hashes: Uint32Array;
  private readonly owner: Uint32Array;
  /** Entries of bucket b: starts[b] .. starts[b + 1] - 1. */
  private readonly starts: Uint32Array;
  /** A bucket's number is the hash without its lower `shift` bits. */
  private readonly shift: number;
  /** Entries of each owner. */
  private readonly sizes: Uint32Array;
  // The next three are about the training document that is being compared: the visit at which an entry was last seen, and for each
  // owner how many of its shingles are shared (each counted once) and how many places of the training document they cover.
  private readonly seenBy: Uint32Array;
  private readonly shared: Uint32Array;
  private readonly covered: Uint32Array;
  private visits = 0;

  constructor(heldOut: readonly Part[]) {
    const count = ({ bytes }: Part) => Math.max(0, bytes.length - SHINGLE_BYTES + 1);
    const total = heldOut.reduce((n, part) => n + count(part), 0);
    let sampled = 1;
    while (total / sampled > MOST_SHINGLES) sampled *= 2;
    // At most 2^16 of them. In an order that does not depend on the files' names.
    this.owners = heldOut.filter((part) => count(part) >= FEWEST_SHINGLES * sampled);
    this.owners.sort((a, b) => (partHash(a) < partHash(b) ? -1 : 1));
    const list = new ShingleList(sampled, total);
    this.owners.forEach(({ bytes }, owner) => {
      for (const block of blocks(bytes)) {
        this.shingles.of(block, list.mask);
        for (let i = 0; i < this.shingles.count; i++) list.add(this.shingles.hashes[i], owner);
      }
    });
    const pairs = list.sorted();
    this.mask = list.mask;
    this.hashes = new Uint32Array(pairs.length);
    this.owner = new Uint32Array(pairs.length);
    this.sizes = new Uint32Array(this.owners.length);
    const bits = Math.min(BUCKET_BITS, Math.ceil(Math.log2(pairs.length + 2)));
    this.shift = 32 - bits;
    this.starts = new Uint32Array(2 ** bits + 1);
    let kept = 0;
    for (const pair of pairs) {
      const [hash, owner] = [Math.floor(pair / 2 ** 21), pair % 2 ** 21];
      if (kept >= MOST_OWNERS && this.hashes[kept - MOST_OWNERS] === hash) continue;
      this.sizes[owner]++;
      this.hashes[kept] = hash;
      this.owner[kept] = owner;
      this.starts[(hash >>> this.shift) + 1]++;
      kept++;
    }
    for (let b = 0; b < 2 ** bits; b++) this.starts[b + 1] += this.starts[b];
    this.seenBy = new Uint32Array(kept);
    this.shared = new Uint32Array(this.owners.length);
    this.covered = new Uint32Array(this.owners.length);
  }

  /** The first held-out document that is nearly in `part`, or `part` nearly in it. */
  repeatedBy(part: Part): Part | null {
    const { hashes, owner, starts, shift, seenBy, shared, covered } = this;
    if (this.owners.length === 0) return null;
    const visit = ++this.visits;
    const touched: number[] = [];
    let own = 0;
    for (const block of blocks(part.bytes)) {
      this.shingles.of(block, this.mask);
      const { hashes: wanted, count } = this.shingles;
      own += count;
      for (let w = 0; w < count; w++) {
        const hash = wanted[w];
        const bucket = hash >>> shift;
        for (let i = starts[bucket]; i < starts[bucket + 1]; i++) {
          if (hashes[i] !== hash) continue;
          const o = owner[i];
          if (covered[o] === 0) touched.push(o);
          covered[o]++;
          if (seenBy[i] === visit) continue;
          seenBy[i] = visit;
          shared[o]++;
        }
      }
    }
    let best = -1;
    for (const o of touched) {
      const enough = shared[o] >= FEWEST_SHINGLES * COPIED_SHARE;
      const inPart = this.sizes[o] >= FEWEST_SHINGLES && shared[o] >= COPIED_SHARE * this.sizes[o];
      const inOwner = own >= FEWEST_SHINGLES && covered[o] >= COPIED_SHARE * own;
      const itself = this.owners[o].whole === part.whole;
      if (enough && !itself && (inPart || inOwner) && (best < 0 || o < best)) best = o;
      shared[o] = 0;
      covered[o] = 0;
    }
    return best < 0 ? null : this.owners[best];
  }
}
