/**
 * @file The symbols of a group of blocks in a range coder. First comes one for each block, which says whether the model predicts it, or it
 * is stored: bytes like none that the model has read would cost more than 8 bits each. Then come the bytes, round after round.
 */
import { naturalLog } from '@blt-ts/tensor';
import { ByteShares } from './byte-shares.ts';
import { RangeEncoder, RepeatingDecoder } from './range-coder.ts';

/** Coders of the blocks of a text, group after group. */
export interface BlockCoder {
  /** Whether the blocks hold their bytes already. */
  readonly known: boolean;
  /** Begins a group. @returns which of its blocks need no predictions */
  begin(blocks: readonly Uint8Array[]): boolean[];
  /**
   * Codes byte `i` of block `r`, in the order of rounds: byte 0 of each block, byte 1 of each, ...
   * @param logits that predict it, from `at` on; not looked at for blocks that need no predictions
   */
  code(r: number, i: number, logits: Float32Array, at: number): void;
  /** Ends the group. */
  end(): void;
}

/** Of 64 shares one says that a block is stored. */
const FLAG_SHARES = 64;
const BYTE_SHARES = 256;

/** The shares of the bytes of one block: [start, start + size) of total. */
class Symbols {
  readonly starts: Uint32Array;
  readonly sizes: Uint32Array;
  readonly totals: Uint32Array;
  /** Nats that the bytes so far cost. */
  cost = 0;

  constructor(length: number) {
    [this.starts, this.sizes, this.totals] = [0, 0, 0].map(() => new Uint32Array(length));
  }
}

/** Writes blocks. Which are stored is known when all of a group have been predicted, so the symbols of a group wait until then. */
export class BlockEncoder implements BlockCoder {
  readonly known = true;
  private readonly encoder = new RangeEncoder();
  private readonly shares = new ByteShares();
  private blocks: readonly Uint8Array[] = [];
  private symbols: Symbols[] = [];

  begin(blocks: readonly Uint8Array[]): boolean[] {
    this.blocks = blocks;
    this.symbols = blocks.map(({ length }) => new Symbols(length));
    return blocks.map(() => false);
  }

  code(r: number, i: number, logits: Float32Array, at: number): void {
    const { shares } = this;
    shares.take(logits, at);
    const byte = this.blocks[r][i];
    const size = shares.size(byte);
    const symbols = this.symbols[r];
    symbols.starts[i] = shares.starts[byte];
    symbols.sizes[i] = size;
    symbols.totals[i] = shares.total;
    symbols.cost += naturalLog(shares.total / size);
  }

  end(): void {
    const { blocks, symbols, encoder } = this;
    const stored = symbols.map(({ cost }, r) => cost > blocks[r].length * naturalLog(BYTE_SHARES));
    for (const flag of stored) encodeFlag(encoder, flag);
    const rounds = blocks.reduce((most, { length }) => Math.max(most, length), 0);
    for (let i = 0; i < rounds; i++) {
      for (const [r, block] of blocks.entries()) {
        if (i >= block.length) continue;
        if (stored[r]) encoder.encode(block[i], 1, BYTE_SHARES);
        else encoder.encode(symbols[r].starts[i], symbols[r].sizes[i], symbols[r].totals[i]);
      }
    }
  }

  /** The bytes of all symbols. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.encoder.finish();
  }
}

function encodeFlag(encoder: RangeEncoder, stored: boolean): void {
  encoder.encode(stored ? FLAG_SHARES - 1 : 0, stored ? 1 : FLAG_SHARES - 1, FLAG_SHARES);
}

/** Reads blocks and fills in their bytes. */
export class BlockDecoder implements BlockCoder {
  readonly known = false;
  private readonly decoder: RepeatingDecoder;
  private readonly shares = new ByteShares();
  private blocks: readonly Uint8Array[] = [];
  private stored: boolean[] = [];

  constructor(coded: Uint8Array) {
    this.decoder = new RepeatingDecoder(coded);
  }

  begin(blocks: readonly Uint8Array[]): boolean[] {
    this.blocks = blocks;
    this.stored = blocks.map(() => {
      const flag = this.decoder.share(FLAG_SHARES) === FLAG_SHARES - 1;
      this.decoder.take(flag ? FLAG_SHARES - 1 : 0, flag ? 1 : FLAG_SHARES - 1, FLAG_SHARES);
      return flag;
    });
    return this.stored;
  }

  code(r: number, i: number, logits: Float32Array, at: number): void {
    const { decoder, shares } = this;
    let byte: number;
    if (this.stored[r]) {
      byte = decoder.share(BYTE_SHARES);
      decoder.take(byte, 1, BYTE_SHARES);
    } else {
      shares.take(logits, at);
      byte = shares.byteOf(decoder.share(shares.total));
      decoder.take(shares.starts[byte], shares.size(byte), shares.total);
    }
    this.blocks[r][i] = byte;
  }

  end(): void {}

  /** The bytes that compress would have written for what was read. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.decoder.again();
  }
}
