/** @file Documents from JSON lines: one line, one document. */
import type { AnsweredText } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { answeredLine, describe } from './chat-lines.ts';
import type { Document } from './document.ts';

/** Names that a text field goes by, tried in this order when none is given. */
export const TEXT_FIELDS = ['text', 'content', 'body'] as const;

/** Longest line in bytes. A file without newlines named .jsonl by mistake must not become one gigantic string. */
export const MAX_LINE_BYTES = 256 * 1024 * 1024;

const utf8 = new TextEncoder();

/** Unpaired surrogates, which JSON can write as escapes, are dropped as the reference tokenizer does. */
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '');

/** Bytes of the blocks that texts are written into: more than a chunk of a file that is read in place has. */
const BLOCK_BYTES = 2 * 1024 * 1024;

/** Very many texts as UTF-8 bytes. They share blocks of memory, because a buffer for each costs more than a short text. */
class TextBlocks {
  #block = new Uint8Array(0);
  #used = 0;

  /** @param most no less than the bytes of the text */
  bytes(text: string, most: number): Uint8Array {
    if (this.#block.length - this.#used < most) {
      this.#block = new Uint8Array(Math.max(BLOCK_BYTES, most));
      this.#used = 0;
    }
    const { written } = utf8.encodeInto(wellFormed(text), this.#block.subarray(this.#used));
    this.#used += written;
    return this.#block.subarray(this.#used - written, this.#used);
  }

  /** Writes over the last block. */
  reuse(): void {
    this.#used = 0;
  }
}

/**
 * Reads JSON Lines: one document a line, either an object with a text field or a plain JSON string. Blank lines are skipped. An object
 * without `text` that has `messages`, or `prompt` and `completion`, is a document of which only the answers are to be learned.
 * @param name file name for messages and for the documents' names (`name:line`)
 * @param textField the field that holds the text; otherwise the first of {@link TEXT_FIELDS} that is there
 * @throws UserError naming the line that is not valid UTF-8, not JSON, or without the field
 */
export function parseJsonl(bytes: Uint8Array, name: string, textField?: string): Document[] {
  const reader = new LineReader(name, textField);
  const documents: Document[] = [];
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    let end = bytes.indexOf(0x0a, start);
    if (end === -1) end = bytes.length;
    const found = reader.line(bytes.subarray(start, end), line, end === bytes.length);
    if (found !== null) documents.push({ name: `${name}:${line}`, ...found });
    start = end + 1;
  }
  return documents;
}

/** Reads the lines of one file of JSON Lines. */
export class LineReader {
  readonly #name: string;
  readonly #textField: string | undefined;
  // A decoder without {stream: true} also strips a byte order mark.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #blocks = new TextBlocks();

  constructor(name: string, textField?: string) {
    this.#name = name;
    this.#textField = textField;
  }

  /** The texts so far are no longer needed: their memory is used again. */
  reuse(): void {
    this.#blocks.reuse();
  }

  /**
   * The text of a line, as UTF-8; null if the line is blank.
   * @param number of the line, from 1
   * @param isCut the line has no end
   * @throws UserError
   */
  text(bytes: Uint8Array, number: number, isCut: boolean): Uint8Array | null {
    const found = this.line(bytes, number, isCut);
    if (found === null) return null;
    if (found.answers === undefined) return found.bytes;
    throw new UserError(
      `${this.#name} line ${number} is a chat or a completion, which are read where all data fit into memory; raise --max-memory, or give less`,
      2,
    );
  }

  /** The same with the answers of a chat or a completion. @throws UserError */
  line(bytes: Uint8Array, number: number, isCut: boolean): Pick<Document, 'bytes' | 'answers'> | null {
    const where = `${this.#name} line ${number}`;
    if (bytes.length > MAX_LINE_BYTES) throw tooLong(where, bytes.length, MAX_LINE_BYTES);
    let json: string;
    try {
      json = this.#decoder.decode(bytes).trim();
    } catch {
      throw new UserError(`${where} is not valid UTF-8, which JSON must be; save the file as UTF-8`);
    }
    if (json === '') return null;
    // What JSON writes with an escape takes no more bytes without.
    const found = lineText(json, where, this.#textField, isCut ? LAST_LINE : '');
    return typeof found === 'string' ? { bytes: this.#blocks.bytes(found, bytes.length) } : found;
  }
}

/** The refusal of a line that is too long. */
export const tooLong = (where: string, bytes: number, most: number): UserError =>
  new UserError(`${where} has ${bytes} bytes, the limit is ${most}; is it really one JSON text a line?`);

const LAST_LINE = '; it is the last line and has no end, so the file may be cut short';

function lineText(json: string, where: string, textField: string | undefined, hint: string): string | AnsweredText {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    // The parser counts lines too, and this is its first.
    const why = (error as Error).message.replace(/ \(line 1 column \d+\)/, '');
    throw new UserError(`${where} is not valid JSON (${why}); each line must be one whole JSON value${hint}`);
  }
  if (typeof value === 'string' && textField === undefined) return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserError(
      `${where} is ${describe(value)}; each line must be an object with a text field, such as {"text": "..."}`,
    );
  }
  const record = value as Record<string, unknown>;
  const names = textField === undefined ? TEXT_FIELDS : [textField];
  const field = names.find((candidate) => Object.hasOwn(record, candidate));
  if (textField === undefined && field !== 'text') {
    const answered = answeredLine(record, where);
    if (answered !== null) return answered;
  }
  if (field === undefined) {
    const keys = Object.keys(record).slice(0, 8).join(', ').slice(0, 200) || 'none';
    const looked =
      textField === undefined
        ? `none of the fields ${TEXT_FIELDS.join(', ')}, messages, or prompt and completion`
        : `no field '${textField}'`;
    throw new UserError(`${where} has ${looked} (its fields: ${keys}); name the field with --text-field`);
  }
  const text = record[field];
  if (typeof text !== 'string') throw new UserError(`${where}: field '${field}' is ${describe(text)}, not a string`);
  return text;
}
