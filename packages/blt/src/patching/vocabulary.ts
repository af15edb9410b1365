/**
 * @file The byte vocabulary: 4 special ids, then the 256 bytes (id = byte + 4).
 * @see Pagnoni et al. 2024, "Byte Latent Transformer", and the authors' BltTokenizer
 */

/** Left padding of hash windows; never a byte of text. */
export const BOE = 0;
/** Beginning of a document or prompt. */
export const BOS = 1;
/** End of a document; document masks cut after it. */
export const EOS = 2;
/** Patch delimiter of the optional `bpe` patching mode. */
export const BPE = 3;
/** id = byte + BYTE_OFFSET. */
export const BYTE_OFFSET = 4;
/** 4 specials + 256 bytes. */
export const VOCAB_SIZE = 260;

/** How many of the ids are bytes of text, specials left out: what bits per byte and bytes per patch are counted in. */
export function countBytes(ids: Int32Array | readonly Int32Array[]): number {
  if (!(ids instanceof Int32Array)) return ids.reduce((sum, row) => sum + countBytes(row), 0);
  let bytes = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i] >= BYTE_OFFSET) bytes++;
  return bytes;
}

/** Special ids that `encode` adds. */
export interface EncodeOptions {
  /** Put BOS in front (default true). */
  readonly bos?: boolean;
  /** Put EOS at the end (default false). */
  readonly eos?: boolean;
}

/**
 * Text or raw bytes to ids: [BOS] byte+4 ... [EOS].
 *
 * The defaults (BOS, no EOS) are those of a prompt; a training document wants `{ eos: true }`, which is what the authors'
 * tokenizer does by default. Text becomes UTF-8; a lone surrogate has no UTF-8 form and is dropped.
 * @returns [bytes + specials]
 */
export function encode(textOrBytes: string | Uint8Array, options: EncodeOptions = {}): Int32Array {
  const { bos = true, eos = false } = options;
  // TextEncoder would turn a lone surrogate into U+FFFD; with the u flag \p{Cs} matches exactly the lone ones.
  const bytes =
    typeof textOrBytes === 'string' ? new TextEncoder().encode(textOrBytes.replace(/\p{Cs}/gu, '')) : textOrBytes;
  const start = bos ? 1 : 0;
  const ids = new Int32Array(start + bytes.length + (eos ? 1 : 0));
  if (bos) ids[0] = BOS;
  for (let i = 0; i < bytes.length; i++) ids[start + i] = bytes[i] + BYTE_OFFSET;
  if (eos) ids[ids.length - 1] = EOS;
  return ids;
}

/**
 * Ids to raw bytes; ids below 4 (specials and the fill value -1) are dropped.
 * @throws RangeError for an id of 260 or more
 */
export function decodeBytes(ids: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(ids.length);
  let n = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (id >= VOCAB_SIZE) {
      throw new RangeError(`decodeBytes: id ${id} at position ${i} is outside the vocabulary, ids end at 259`);
    }
    if (id >= BYTE_OFFSET) bytes[n++] = id - BYTE_OFFSET;
  }
  return bytes.slice(0, n);
}

/** Options of `decode`. */
export interface DecodeOptions {
  /** Stop at the first EOS (default false: EOS is dropped and decoding goes on). */
  readonly cutAtEos?: boolean;
}

/**
 * Ids to text. Specials are dropped, and so is every byte that is not part of a well-formed UTF-8 sequence (Python's
 * errors='ignore'; no U+FFFD appears unless the bytes spell one).
 * @throws RangeError for an id of 260 or more
 */
export function decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
  let end = ids.length;
  if (options.cutAtEos) {
    end = 0;
    while (end < ids.length && ids[end] !== EOS) end++;
  }
  const bytes = decodeBytes(Array.prototype.slice.call(ids, 0, end));
  // ignoreBOM: true KEEPS a leading byte order mark, as Python does.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(wellFormed(bytes));
}

/** The well-formed UTF-8 sequences of `bytes`, in order, everything else left out. */
function wellFormed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  let n = 0;
  let i = 0;
  while (i < bytes.length) {
    const length = sequenceLength(bytes, i);
    // Skipping one byte is enough: what remains of a broken sequence are continuation bytes, invalid on their own.
    if (length === 0) i++;
    for (let j = 0; j < length; j++) out[n++] = bytes[i++];
  }
  return out.subarray(0, n);
}

/** Length 1..4 of the well-formed UTF-8 sequence that starts at i, or 0 (Unicode standard, table 3-7). */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (i + length > bytes.length) return 0;
  // The second byte excludes overlong forms (E0, F0), surrogates (ED) and code points above U+10FFFF (F4).
  const second = bytes[i + 1];
  const lo = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const hi = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lo || second > hi) return 0;
  for (let j = 2; j < length; j++) if ((bytes[i + j] & 0xc0) !== 0x80) return 0;
  return length;
}
