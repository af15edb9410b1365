/**
 * @file Text cut into words before byte pairs are merged, as Llama 3 cuts it. Any bytes go through unharmed: a byte that belongs to no UTF-8
 * character becomes a lone surrogate U+DC00 + byte, which no valid text holds, and comes back as that byte (Python calls it surrogateescape).
 */
import { isUtf8 } from 'node:buffer';

/**
 * English contractions; letters with at most one other character before them; up to three digits; punctuation; line ends; other white space,
 * whose last character goes to the word that follows. Every character falls into one of these classes, so that the words laid end to end
 * are the text.
 */
const WORDS =
  /'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes of the UTF-8 character at `at`; 0 if there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at];
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** Bytes as text, those outside of UTF-8 characters as lone surrogates. */
function textOf(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return utf8.decode(bytes);
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) {
      parts.push(utf8.decode(bytes.subarray(start, at)), String.fromCharCode(0xdc00 + bytes[at]));
      start = at + 1;
    }
    at += Math.max(1, length);
  }
  return parts.join('') + utf8.decode(bytes.subarray(start));
}

/** The bytes of a text that `textOf` made. */
export function bytesOf(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/u.test(text)) return new Uint8Array(Buffer.from(text, 'utf8'));
  const escaped = (char: string) => char.length === 1 && char >= '\udc80' && char <= '\udcff';
  return new Uint8Array(
    Buffer.concat([...text].map((c) => (escaped(c) ? Buffer.of(c.charCodeAt(0) - 0xdc00) : Buffer.from(c, 'utf8')))),
  );
}

/** The words of a text. Laid end to end, the bytes of the words (`bytesOf`) are `bytes`. */
export const preSplit = (bytes: Uint8Array): string[] => textOf(bytes).match(WORDS) ?? [];
