/** @file Bytes as text that is safe to print. */
/**
 * Bytes as text that is safe to print: well-formed UTF-8 as characters, everything else and every control or invisible character as
 * an escape. Model output is hostile input to a terminal, so no escape sequence may survive.
 */

/** Well-formed UTF-8 character at `at`: its length in bytes 1..4, or 0. Overlong forms, surrogates and values past U+10FFFF are refused. */
export function utf8Length(bytes: Uint8Array, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const length =
    lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  // The second byte has a narrower range after four of the leads (Unicode 15, table 3-7).
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (bytes[at + 1] < low || bytes[at + 1] > high) return 0;
  for (let i = 2; i < length; i++) if (bytes[at + i] < 0x80 || bytes[at + i] > 0xbf) return 0;
  return length;
}

const SHORT_ESCAPES: Record<number, string> = { 0: '\\0', 9: '\\t', 10: '\\n', 13: '\\r', 27: '\\e' };

/** `\n`, `\t`, `\x80`. */
export function byteEscape(byte: number): string {
  return SHORT_ESCAPES[byte] ?? `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Control, format (bidirectional overrides!), private, unassigned characters, and line or paragraph separators. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;
const utf8 = new TextDecoder();

export interface Character {
  /** First byte. */
  at: number;
  /** Bytes; 1 for an escape. */
  length: number;
  /** The character itself, or an escape such as `\x80`. */
  text: string;
  isEscape: boolean;
}

/** Cuts bytes into printable characters and one-byte escapes; the lengths add up to the number of bytes. */
export function characters(bytes: Uint8Array): Character[] {
  const found: Character[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = utf8Length(bytes, at);
    const text = length === 0 ? '' : utf8.decode(bytes.subarray(at, at + length));
    // TextDecoder drops a byte order mark, hence the empty text there.
    const printable = text !== '' && !UNPRINTABLE.test(text);
    const span = Math.max(1, length);
    if (printable) found.push({ at, length, text, isEscape: false });
    else
      for (let i = at; i < at + span; i++) found.push({ at: i, length: 1, text: byteEscape(bytes[i]), isEscape: true });
    at += span;
  }
  return found;
}

/** Text to print for some bytes: characters as they are, `⏎` for a newline if `newline` says so, escapes for the rest. */
export function printable(bytes: Uint8Array, newline = '\n'): string {
  return characters(bytes)
    .map(({ at, text }) => (bytes[at] === 0x0a ? newline : text))
    .join('');
}
