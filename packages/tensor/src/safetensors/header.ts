/**
 * @file Strict reader for the header of a safetensors file. It sees only the head of the file, so that a checkpoint
 * larger than memory can be read tensor by tensor, and it refuses everything before anything is allocated for the data.
 *
 * `JSON.parse` is not used on the whole header: it keeps the last of two equal keys in silence, puts a tensor called
 * `__proto__` into the prototype, and builds whatever tree a hostile file asks for. The header's grammar is two objects
 * deep, so a cursor over the text reads it in one pass without recursion.
 */

import {
  hasLoneSurrogate,
  MAX_HEADER_BYTES,
  METADATA_KEY,
  quote,
  type SafetensorsDtype,
  SafetensorsError,
  showShape,
  tensorBytes,
} from './format.ts';

/** Where one tensor lies: bytes `dataStart + begin` to `dataStart + end` (excluded) of the file. */
export type SafetensorsSpan = { dtype: SafetensorsDtype; shape: number[]; begin: number; end: number };

/** A checked header: `tensors` in the order of the file's header, `dataStart` = 8 + header length, in bytes. */
export type SafetensorsHeader = {
  tensors: Map<string, SafetensorsSpan>;
  metadata: Map<string, string>;
  dataStart: number;
};

/**
 * How many bytes of the file `parseSafetensorsHeader` needs: 8 + N. Reads the first 8 bytes (more are welcome: they help
 * to say what the file is instead).
 * @param head the first bytes of the file   @param fileSize size of the whole file in bytes
 * @throws SafetensorsError if the file is empty, cut, of another kind, or its header is longer than 25 MB
 */
export function safetensorsHeaderSize(head: Uint8Array, fileSize: number): number {
  if (!Number.isSafeInteger(fileSize) || fileSize < head.length) {
    throw new SafetensorsError(`file size must be a whole number >= the ${head.length} bytes given, got ${fileSize}`);
  }
  if (fileSize === 0) throw new SafetensorsError('the file is empty (0 bytes); download or save it again');
  const other = (message: string) => new SafetensorsError(otherFormat(head) ?? message);
  if (fileSize < 8) throw other(`the file has ${fileSize} bytes, a safetensors file has at least 8: it was cut`);
  if (head.length < 8) throw new SafetensorsError(`the first 8 bytes of the file are needed, got ${head.length}`);

  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw other(`header length ${length} is over the limit of ${MAX_HEADER_BYTES} bytes: not a safetensors file?`);
  }
  const size = 8 + Number(length);
  if (size > fileSize) {
    throw other(`the file is truncated: ${fileSize} bytes are there, its header alone needs ${size}`);
  }
  if (length < 2n) throw other(`the header is ${length} bytes long, the shortest one is {}: not a safetensors file?`);
  if (head.length > 8 && head[8] !== 0x7b) {
    throw other(`the header starts with byte ${head[8]} instead of {: not a safetensors file?`);
  }
  return size;
}

/** The likely format of a file that is not safetensors, with the fix; undefined if it is not recognised. */
function otherFormat(head: Uint8Array): string | undefined {
  if (head[8] === 0x7b) return undefined; // a header's first byte: rather a damaged safetensors file
  // biome-ignore lint/plugin: 512 bytes at most
  const text = String.fromCharCode(...head.subarray(0, 512));
  if (text.startsWith('version https://git-lfs')) {
    const size = /\nsize (\d{1,20})\n/.exec(text)?.[1];
    return `this is a Git LFS pointer${size ? ` to a file of ${size} bytes` : ''}, not the file; run: git lfs pull`;
  }
  if (text.startsWith('\x1f\x8b')) return 'this is a gzip file; decompress it first: gunzip';
  if (text.startsWith('PK\x03\x04')) {
    return 'this is a zip file (a PyTorch .pt, .pth or .bin checkpoint?); convert it to safetensors, it is never unpickled';
  }
  if (head[0] === 0x80 && head[1] >= 2 && head[1] <= 5) {
    return 'this is a Python pickle (an old PyTorch checkpoint?); convert it to safetensors, it is never unpickled';
  }
  if (text.startsWith('GGUF')) return 'this is a GGUF file; convert it to safetensors';
  if (/^\s*<(!doctype|html)/i.test(text)) return 'this is an HTML page, probably a failed download; download it again';
  return undefined;
}

/**
 * Reads and checks the header: strict UTF-8 and JSON, no duplicate keys, known dtypes, sizes that multiply without
 * overflow, spans that match dtype x shape, and spans that cover the data of the file exactly: no hole, no overlap, no
 * byte too few, none too many. Names such as `__proto__` are ordinary names. Time and memory are linear in the header.
 * @param head at least the first `safetensorsHeaderSize` bytes of the file (the whole file is fine)
 * @param fileSize size of the whole file in bytes
 * @throws SafetensorsError and nothing else
 * @see https://github.com/huggingface/safetensors, section Format
 */
export function parseSafetensorsHeader(head: Uint8Array, fileSize: number): SafetensorsHeader {
  const dataStart = safetensorsHeaderSize(head, fileSize);
  if (head.length < dataStart) {
    throw new SafetensorsError(`the first ${dataStart} bytes of the file are needed, got ${head.length}`);
  }
  const text = new HeaderText(decodeUtf8(head, dataStart));
  const tensors = new Map<string, SafetensorsSpan>();
  let metadata: Map<string, string> | undefined;
  text.object('the header', (key) => {
    if (key === METADATA_KEY ? metadata !== undefined : tensors.has(key)) {
      throw new SafetensorsError(`the header has the key ${quote(key)} twice`);
    }
    if (key === METADATA_KEY) metadata = readMetadata(text);
    else tensors.set(key, readSpan(text, `tensor ${quote(key)}`));
  });
  text.padding();
  checkCoverage(tensors, fileSize - dataStart, dataStart);
  return { tensors, metadata: metadata ?? new Map(), dataStart };
}

function decodeUtf8(head: Uint8Array, end: number): string {
  // A copy, because browsers do not decode shared memory.
  const bytes = new Uint8Array(head.subarray(8, end));
  // The flag is named the wrong way round: it keeps a byte order mark, so that the mark is refused and not skipped.
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SafetensorsError(`the header of ${bytes.length} bytes is not valid UTF-8`);
  }
}

function readMetadata(text: HeaderText): Map<string, string> {
  const metadata = new Map<string, string>();
  text.object(METADATA_KEY, (key) => {
    if (metadata.has(key)) throw new SafetensorsError(`${METADATA_KEY} has the key ${quote(key)} twice`);
    metadata.set(key, text.string(`the value of ${quote(key)} in ${METADATA_KEY}`));
  });
  return metadata;
}

function readSpan(text: HeaderText, subject: string): SafetensorsSpan {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  text.object(subject, (key) => {
    if (key === 'dtype' && dtype === undefined) dtype = text.string(`${subject}: dtype`);
    else if (key === 'shape' && shape === undefined) shape = text.integers(`${subject}: shape`);
    else if (key === 'data_offsets' && offsets === undefined) offsets = text.integers(`${subject}: data_offsets`);
    else throw new SafetensorsError(`${subject}: keys are dtype, shape, data_offsets, once each; got ${quote(key)}`);
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    const missing = dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets';
    throw new SafetensorsError(`${subject}: ${missing} is missing`);
  }
  const bytes = tensorBytes(subject, dtype, shape);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin > end) {
    throw new SafetensorsError(
      `${subject}: data_offsets must be [begin, end], begin <= end, got ${showShape(offsets)}`,
    );
  }
  if (end - begin !== bytes) {
    throw new SafetensorsError(
      `${subject}: ${dtype} ${showShape(shape)} needs ${bytes} bytes, data_offsets [${begin},${end}] hold ${end - begin}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** The spans, sorted, must follow one another from 0 to the end of the data. */
function checkCoverage(tensors: ReadonlyMap<string, SafetensorsSpan>, dataSize: number, dataStart: number): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const [name, { begin, end }] of sorted) {
    if (begin !== at) {
      const fault = begin < at ? 'overlaps the tensor before it, which ends' : 'leaves a hole: the data before it ends';
      throw new SafetensorsError(`tensor ${quote(name)} begins at byte ${begin} and ${fault} at ${at}`);
    }
    at = end;
  }
  if (at > dataSize) {
    throw new SafetensorsError(
      `the file is truncated: ${dataStart + dataSize} bytes are there, its header promises ${dataStart + at}`,
    );
  }
  if (at < dataSize) {
    throw new SafetensorsError(
      `the file has ${dataSize - at} bytes after its last tensor: ${dataStart + dataSize} bytes are there, its header promises ${dataStart + at}`,
    );
  }
}

/** A cursor over the JSON text of a header. */
class HeaderText {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Reads `{"key": value, ...}`; `member` reads the value. */
  object(subject: string, member: (key: string) => void): void {
    this.expect('{', subject);
    if (this.skip('}')) return;
    do {
      const key = this.string(`a key of ${subject}`);
      this.expect(':', subject);
      member(key);
    } while (this.skip(','));
    this.expect('}', subject);
  }

  /** Reads `[1, 2, ...]`, whole numbers from 0 to 2^53-1 written in plain digits. */
  integers(subject: string): number[] {
    const out: number[] = [];
    this.expect('[', subject);
    if (this.skip(']')) return out;
    do out.push(this.integer(subject));
    while (this.skip(','));
    this.expect(']', subject);
    return out;
  }

  string(subject: string): string {
    if (!this.skip('"')) throw this.error(`${subject} must be a string`);
    const start = this.at;
    let escaped = false;
    for (; ; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22) break;
      // NaN past the end fails the comparison too.
      if (!(code >= 0x20)) throw this.error(`${subject}: the string does not end or holds a control character`);
      if (code === 0x5c) {
        escaped = true;
        this.at++;
      }
    }
    const raw = this.text.slice(start, this.at++);
    if (!escaped) return raw;
    let value: string;
    try {
      value = JSON.parse(`"${raw}"`);
    } catch {
      throw this.error(`${subject}: ${quote(raw)} is not a JSON string`);
    }
    if (hasLoneSurrogate(value)) throw this.error(`${subject}: ${quote(raw)} has half of a surrogate pair`);
    return value;
  }

  /** After the header's last brace only spaces may follow. */
  padding(): void {
    for (let i = this.at; i < this.text.length; i++) {
      if (this.text.charCodeAt(i) !== 0x20) {
        this.at = i;
        throw this.error('only spaces may follow the last } of the header');
      }
    }
  }

  private integer(subject: string): number {
    this.whitespace();
    const start = this.at;
    while (isDigit(this.text.charCodeAt(this.at))) this.at++;
    const digits = this.at - start;
    const value = digits > 16 ? Number.NaN : Number(this.text.slice(start, this.at));
    const leadingZero = digits > 1 && this.text[start] === '0';
    const next = this.text[this.at];
    if (digits === 0 || leadingZero || !Number.isSafeInteger(value) || next === '.' || next === 'e' || next === 'E') {
      this.at = start;
      throw this.error(`${subject} must hold whole numbers 0 .. 2^53-1`);
    }
    return value;
  }

  private expect(character: string, subject: string): void {
    if (!this.skip(character)) throw this.error(`${subject}: expected ${character}`);
  }

  private skip(character: string): boolean {
    this.whitespace();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private whitespace(): void {
    for (; ; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  private error(message: string): SafetensorsError {
    const found = this.at < this.text.length ? quote(this.text.slice(this.at, this.at + 12)) : 'the end';
    return new SafetensorsError(`header, character ${this.at}: ${message}; found ${found}`);
  }
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
