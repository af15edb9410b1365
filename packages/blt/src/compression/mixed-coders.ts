/**
 * @file Coders of blocks that a network and a memory predict together (memory/memory-mixture.ts). A byte is eight decisions, and each is a
 * symbol of the range coder: a 1 has floor(2^22 P) of 2^22 shares. Both sides learn from a byte as soon as it is coded, in the order of
 * rounds. So a block is predicted with what its neighbours have read so far, and there are no stored blocks: bytes like none before cost
 * hardly more than 8 bits, because the mixture learns to believe nobody.
 */
import { NonFiniteError } from '../errors.ts';
import type { MemoryMixture } from '../memory/memory-mixture.ts';
import { DECISIONS } from '../memory/text-memory.ts';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';
import type { BlockCoder } from './block-coders.ts';
import { BROKEN_PREDICTION } from './byte-shares.ts';
import { RangeEncoder, RepeatingDecoder } from './range-coder.ts';

/** Shares of a decision. P is between 2^-16 and 1 - 2^-16, so that 0 and 1 have 64 of them at least. */
const SHARES = 2 ** 22;
const BYTES = 256;
const VOCABULARY = BYTE_OFFSET + BYTES;

/** The part that writing and reading have in common. */
abstract class MixedCoder implements BlockCoder {
  abstract readonly known: boolean;
  protected blocks: readonly Uint8Array[] = [];
  private readers: MemoryMixture[] = [];
  private readonly mixture: MemoryMixture;

  /** @param mixture goes on learning; it must belong to nobody else */
  constructor(mixture: MemoryMixture) {
    this.mixture = mixture;
  }

  begin(blocks: readonly Uint8Array[]): boolean[] {
    this.blocks = blocks;
    this.readers = blocks.map(({ length }) => this.mixture.reader(length));
    return blocks.map(() => false);
  }

  code(r: number, i: number, logits: Float32Array, at: number): void {
    const reader = this.readers[r];
    reader.takeLogits(logits, VOCABULARY, at);
    let node = 1;
    for (let decision = 0; decision < DECISIONS; decision++) {
      const ones = Math.floor(SHARES * reader.decide(decision, node));
      if (Number.isNaN(ones)) throw new NonFiniteError(BROKEN_PREDICTION);
      node = 2 * node + this.codeBit(ones, (this.blocks[r][i] >> (7 - decision)) & 1);
    }
    if (!this.known) this.blocks[r][i] = node - BYTES;
    reader.learn(node - BYTES);
  }

  end(): void {}

  /** @param bit what the block holds   @returns the bit that was coded */
  protected abstract codeBit(ones: number, bit: number): number;
}

/** Writes blocks. */
export class MixedEncoder extends MixedCoder {
  readonly known = true;
  private readonly encoder = new RangeEncoder();

  /** The bytes of all symbols. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.encoder.finish();
  }

  protected codeBit(ones: number, bit: number): number {
    if (bit === 1) this.encoder.encode(0, ones, SHARES);
    else this.encoder.encode(ones, SHARES - ones, SHARES);
    return bit;
  }
}

/** Reads blocks and fills in their bytes. */
export class MixedDecoder extends MixedCoder {
  readonly known = false;
  private readonly decoder: RepeatingDecoder;

  constructor(mixture: MemoryMixture, coded: Uint8Array) {
    super(mixture);
    this.decoder = new RepeatingDecoder(coded);
  }

  /** The bytes that compress would have written for what was read. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.decoder.again();
  }

  protected codeBit(ones: number): number {
    const bit = this.decoder.share(SHARES) < ones ? 1 : 0;
    if (bit === 1) this.decoder.take(0, ones, SHARES);
    else this.decoder.take(ones, SHARES - ones, SHARES);
    return bit;
  }
}
