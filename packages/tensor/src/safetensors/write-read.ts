/**
 * @file Safetensors files over bytes and plain typed arrays: read, write, and decode the values. Browser-clean.
 *
 * ```ts
 * const bytes = writeSafetensors([['w', { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) }]], { format: 'pt' });
 * const { tensors, metadata } = readSafetensors(bytes);
 * const w = toFloat32(tensors.get('w')!); // Float32Array(6)
 * ```
 */

import { describe } from '../given.ts';
import { bf16ToF32, f16ToF32 } from './float-formats.ts';
import {
  elementType,
  hasLoneSurrogate,
  MAX_HEADER_BYTES,
  METADATA_KEY,
  quote,
  type SafetensorsDtype,
  SafetensorsError,
  showShape,
  tensorBytes,
} from './format.ts';
import { parseSafetensorsHeader, type SafetensorsSpan } from './header.ts';

/** One stored tensor: `data` is its raw little-endian bytes, row-major. */
export type SafetensorsTensor = { dtype: SafetensorsDtype; shape: number[]; data: Uint8Array };

/** A file in memory; the `data` of its tensors are views of the bytes that were read. */
export type SafetensorsFile = { tensors: Map<string, SafetensorsTensor>; metadata: Map<string, string> };

/**
 * Input of the writer. `data` is either raw little-endian bytes (Uint8Array) or the typed array of the dtype: F32
 * Float32Array, F64 Float64Array, BF16 and F16 Uint16Array of codes, I64 BigInt64Array, C64 Float32Array of pairs, ...
 */
export type SafetensorsInput = { dtype: SafetensorsDtype; shape: readonly number[]; data: SafetensorsData };

/** Values of a tensor that is written. */
export type SafetensorsData =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Texts by name in the header of a file. */
export type SafetensorsMetadata = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

/**
 * Reads a whole file: no copy of the data is made. For a file that does not fit in memory, use `parseSafetensorsHeader`
 * on its head and read each tensor's span.
 * @throws SafetensorsError and nothing else, for anything that is not a valid file (see `parseSafetensorsHeader`)
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  if (!(bytes instanceof Uint8Array)) {
    throw new SafetensorsError(`a file is a Uint8Array, got ${describe(bytes)}; new Uint8Array(buffer) makes one`);
  }
  const header = parseSafetensorsHeader(bytes, bytes.length);
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    const data = new Uint8Array(bytes.buffer, bytes.byteOffset + header.dataStart + begin, end - begin);
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * The values of an F32, F16, BF16 or F64 tensor in a new Float32Array. F32 is copied bit for bit, F16 and BF16 are exact,
 * F64 is rounded to nearest even (beyond the f32 range: infinity).
 * @param name how messages call the tensor
 * @throws SafetensorsError if the dtype is no float or `data` has not the size of dtype x shape
 */
export function toFloat32(tensor: SafetensorsTensor, name = ''): Float32Array<ArrayBuffer> {
  checkData(tensor, name);
  const { dtype, data } = tensor;
  if (dtype === 'F32') return new Float32Array(viewAs(data, Float32Array));
  if (dtype === 'F64') return new Float32Array(viewAs(data, Float64Array));
  if (dtype === 'F16') return f16ToF32(viewAs(data, Uint16Array));
  if (dtype === 'BF16') return bf16ToF32(viewAs(data, Uint16Array));
  throw new SafetensorsError(`${subjectOf(name)}: dtype ${dtype} cannot be read as floats (F32, F16, BF16, F64)`);
}

/**
 * The values of an integer or BOOL tensor in a new Int32Array.
 * @param name how messages call the tensor
 * @throws SafetensorsError if the dtype is no integer, a value does not fit in 32 bits, a BOOL is neither 0 nor 1, or
 * `data` has not the size of dtype x shape
 */
export function toInt32(tensor: SafetensorsTensor, name = ''): Int32Array<ArrayBuffer> {
  checkData(tensor, name);
  const { dtype, data } = tensor;
  const subject = subjectOf(name);
  if (dtype === 'I32') return new Int32Array(viewAs(data, Int32Array));
  if (dtype === 'I16') return new Int32Array(viewAs(data, Int16Array));
  if (dtype === 'U16') return new Int32Array(viewAs(data, Uint16Array));
  if (dtype === 'I8') return new Int32Array(viewAs(data, Int8Array));
  if (dtype === 'U8') return new Int32Array(data);
  if (dtype === 'BOOL') return checkedInt32(subject, data, 1);
  if (dtype === 'U32') return checkedInt32(subject, viewAs(data, Uint32Array));
  if (dtype === 'I64') return checkedInt32(subject, viewAs(data, BigInt64Array));
  if (dtype === 'U64') return checkedInt32(subject, viewAs(data, BigUint64Array));
  throw new SafetensorsError(`${subject}: dtype ${dtype} cannot be read as integers (I8 .. I64, U8 .. U64, BOOL)`);
}

function checkedInt32(subject: string, values: ArrayLike<number | bigint>, max = 0x7fffffff): Int32Array<ArrayBuffer> {
  const out = new Int32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    if (value > max || value < -0x80000000) {
      throw new SafetensorsError(
        `${subject}: value ${value} at ${i} does not fit in ${max === 1 ? '0 .. 1' : '32 bits'}`,
      );
    }
    out[i] = Number(value);
  }
  return out;
}

/**
 * The header of a file and the place of each tensor's data, for writing a large file piece by piece: first `header`, then
 * the data of `tensors` in this order. It depends on names, dtypes, shapes and metadata only, not on the order given:
 * wide dtypes come first, then names ascending, metadata keys ascending, header padded with spaces to a multiple of 8;
 * so each tensor starts on a multiple of its element size.
 * @throws SafetensorsError for a name given twice, the name `__metadata__`, text that UTF-8 cannot hold, bad sizes, or a
 * header longer than 25 MB
 */
export function layoutSafetensors(
  tensors: Iterable<readonly [string, { dtype: SafetensorsDtype; shape: readonly number[] }]>,
  metadata: SafetensorsMetadata = {},
): { header: Uint8Array<ArrayBuffer>; tensors: Map<string, SafetensorsSpan>; dataSize: number } {
  const given = [...tensors].map(([name, { dtype, shape }]) => {
    const subject = `tensor ${quote(name)}`;
    if (name === METADATA_KEY) throw new SafetensorsError(`${subject}: this name is reserved, choose another`);
    if (hasLoneSurrogate(name)) throw new SafetensorsError(`${subject}: the name has half of a surrogate pair`);
    return { name, dtype, shape: [...shape], bytes: tensorBytes(subject, dtype, shape) };
  });
  given.sort((a, b) => elementType(b.dtype)!.rank - elementType(a.dtype)!.rank || compareText(a.name, b.name));

  const placed = new Map<string, SafetensorsSpan>();
  const members: string[] = metadataMember(metadata);
  let at = 0;
  for (const { name, dtype, shape, bytes } of given) {
    if (placed.has(name)) throw new SafetensorsError(`tensor ${quote(name)} is given twice`);
    placed.set(name, { dtype, shape, begin: at, end: at + bytes });
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${at},${at + bytes}]}`,
    );
    at += bytes;
  }
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES || !Number.isSafeInteger(at + length)) {
    throw new SafetensorsError(
      `header of ${length} bytes for ${at} bytes of data: the limits are ${MAX_HEADER_BYTES} and 2^53; split the tensors over files`,
    );
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, tensors: placed, dataSize: at };
}

function metadataMember(metadata: SafetensorsMetadata): string[] {
  const entries = metadata instanceof Map ? [...metadata] : Object.entries(metadata);
  for (const [key, value] of entries) {
    if (typeof value !== 'string') {
      throw new SafetensorsError(`metadata ${quote(String(key))} must be a string, got ${typeof value}; use String()`);
    }
    if (hasLoneSurrogate(key) || hasLoneSurrogate(value)) {
      throw new SafetensorsError(`metadata ${quote(key)}: the text has half of a surrogate pair`);
    }
  }
  if (entries.length === 0) return [];
  const members = entries
    .sort(([a], [b]) => compareText(a, b))
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return [`"${METADATA_KEY}":{${members.join(',')}}`];
}

/**
 * A whole file. Equal tensors and metadata give equal bytes, in whatever order they come (see `layoutSafetensors`).
 * @param tensors a Map or any iterable of [name, { dtype, shape, data }]   @param metadata strings to keep in the header
 * @throws SafetensorsError as `layoutSafetensors`, and if `data` is of the wrong array type or size
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, SafetensorsInput]>,
  metadata: SafetensorsMetadata = {},
): Uint8Array<ArrayBuffer> {
  const given = [...tensors];
  for (const [name, tensor] of given) checkData(tensor, name);
  const { header, tensors: placed, dataSize } = layoutSafetensors(given, metadata);
  let out: Uint8Array<ArrayBuffer>;
  try {
    out = new Uint8Array(header.length + dataSize);
  } catch {
    throw new SafetensorsError(
      `a file of ${header.length + dataSize} bytes does not fit in one array; write it piece by piece, see layoutSafetensors`,
    );
  }
  out.set(header);
  for (const [name, { data }] of given) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length + placed.get(name)!.begin);
  }
  return out;
}

/** Raw bytes or the dtype's own typed array, of exactly the size of dtype x shape. */
function checkData({ dtype, shape, data }: SafetensorsInput, name: string): void {
  const subject = subjectOf(name);
  const bytes = tensorBytes(subject, dtype, shape);
  const wanted = elementType(dtype)!.array;
  const given: string = data[Symbol.toStringTag];
  if (given !== 'Uint8Array' && given !== wanted) {
    throw new SafetensorsError(`${subject}: dtype ${dtype} is held in a ${wanted} (or raw bytes), got a ${given}`);
  }
  if (data.byteLength !== bytes) {
    throw new SafetensorsError(
      `${subject}: ${dtype} ${showShape(shape)} needs ${bytes} bytes, data has ${data.byteLength}`,
    );
  }
  if (!littleEndian)
    throw new SafetensorsError('this machine is big-endian, which the safetensors code does not support');
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const subjectOf = (name: string): string => (name === '' ? 'tensor' : `tensor ${quote(name)}`);

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The bytes as elements of a wider type: a view where they are aligned, a copy where they are not. */
function viewAs<T>(data: Uint8Array, Type: ArrayType<T>): T {
  const aligned = data.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  return new Type(aligned.buffer, aligned.byteOffset, aligned.length / Type.BYTES_PER_ELEMENT);
}

type ArrayType<T> = { new (buffer: ArrayBufferLike, byteOffset: number, length: number): T; BYTES_PER_ELEMENT: number };
