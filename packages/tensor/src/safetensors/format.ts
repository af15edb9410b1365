/**
 * @file The vocabulary of the safetensors format: element types, limits, and the one error its reader and writer throw.
 *
 * A file is an 8-byte little-endian length N, a JSON header of N bytes
 * `{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}`, then the data.
 * Offsets count from the first byte after the header, and the tensors cover the data exactly.
 */

/** The only error the safetensors reader and writer throw: one sentence that names the thing, both values and the fix. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

/** Longest header read or written, in bytes (the format allows 100 MB; 25 MB holds some 300,000 tensors). */
export const MAX_HEADER_BYTES = 25_000_000;

/** The reserved header key that holds the metadata; no tensor may have this name. */
export const METADATA_KEY = '__metadata__';

/** Element types of the format, by their names on disk. */
export type SafetensorsDtype = keyof typeof ELEMENT_TYPES;

type ElementType = { readonly bits: number; readonly array: string };

// The writer stores wide types first (last row to first), so every tensor starts on a multiple of its own element size.
const ELEMENT_TYPES = {
  BOOL: { bits: 8, array: 'Uint8Array' },
  F4: { bits: 4, array: 'Uint8Array' },
  F6_E2M3: { bits: 6, array: 'Uint8Array' },
  F6_E3M2: { bits: 6, array: 'Uint8Array' },
  U8: { bits: 8, array: 'Uint8Array' },
  I8: { bits: 8, array: 'Int8Array' },
  F8_E5M2: { bits: 8, array: 'Uint8Array' },
  F8_E4M3: { bits: 8, array: 'Uint8Array' },
  F8_E8M0: { bits: 8, array: 'Uint8Array' },
  F8_E4M3FNUZ: { bits: 8, array: 'Uint8Array' },
  F8_E5M2FNUZ: { bits: 8, array: 'Uint8Array' },
  I16: { bits: 16, array: 'Int16Array' },
  U16: { bits: 16, array: 'Uint16Array' },
  F16: { bits: 16, array: 'Uint16Array' },
  BF16: { bits: 16, array: 'Uint16Array' },
  I32: { bits: 32, array: 'Int32Array' },
  U32: { bits: 32, array: 'Uint32Array' },
  F32: { bits: 32, array: 'Float32Array' },
  C64: { bits: 64, array: 'Float32Array' },
  F64: { bits: 64, array: 'Float64Array' },
  I64: { bits: 64, array: 'BigInt64Array' },
  U64: { bits: 64, array: 'BigUint64Array' },
} as const satisfies Record<string, ElementType>;

// A Map, because a hostile dtype such as "constructor" must not find anything on a prototype.
const byName = new Map<string, ElementType & { readonly rank: number }>(
  Object.entries(ELEMENT_TYPES).map(([name, type], rank) => [name, { ...type, rank }]),
);

/** All element types, narrow ones first. */
export const SAFETENSORS_DTYPES = [...byName.keys()] as readonly SafetensorsDtype[];

/** Bits per element, the typed array that holds it, and its place in the file order; undefined for an unknown name. */
export const elementType = (dtype: string) => byName.get(dtype);

/** A name from an untrusted file, safe to print: quoted, escaped and at most 80 characters. */
export const quote = (name: string): string => {
  const shown = JSON.stringify(name.slice(0, 80)).replace(/[\x7f-\x9f\u2028-\u202e]/g, '?');
  return name.length > 80 ? `${shown}...` : shown;
};

/** Whether the text has a surrogate without its partner, which UTF-8 cannot store. */
export const hasLoneSurrogate = (text: string): boolean => /\p{Surrogate}/u.test(text);

/** "[2,3]", cut after 16 sizes so that a hostile rank cannot flood a message. */
export const showShape = (shape: readonly number[]): string =>
  `[${shape.slice(0, 16).join(',')}${shape.length > 16 ? ',...' : ''}]`;

/**
 * Bytes that a tensor occupies: product(shape) * bits / 8, every multiplication checked; a shape of [] is one element.
 * @param subject how messages name the tensor
 * @throws SafetensorsError for an unknown dtype, a size that is not a whole number 0 .. 2^53-1, an overflowing product,
 * or a number of sub-byte elements that does not fill whole bytes
 */
export function tensorBytes(subject: string, dtype: string, shape: readonly number[]): number {
  const type = elementType(dtype);
  if (type === undefined) {
    throw new SafetensorsError(`${subject}: unknown dtype ${quote(dtype)}; known are ${SAFETENSORS_DTYPES.join(', ')}`);
  }
  let elements = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new SafetensorsError(`${subject}: shape ${showShape(shape)} has a size ${size} that is not 0 .. 2^53-1`);
    }
    elements *= size;
    if (!Number.isSafeInteger(elements * type.bits)) {
      throw new SafetensorsError(`${subject}: shape ${showShape(shape)} has more than 2^53-1 bits as ${dtype}`);
    }
  }
  const bits = elements * type.bits;
  if (bits % 8 !== 0) {
    throw new SafetensorsError(`${subject}: ${elements} elements of ${type.bits} bits do not fill whole bytes`);
  }
  return bits / 8;
}
