/**
 * @file Log-probabilities of bytes in the form that the completions API has for tokens. A token is one byte: itself where it is
 * printable ASCII, tab or newline, else `bytes:\xe2`, as OpenAI's API names parts of characters.
 */
import { BYTE_OFFSET, EOS } from '@blt-ts/blt';

/** One byte with its log-probability (natural logarithm), and those of the likeliest ones. */
export interface ByteLogprob {
  readonly byte: number;
  readonly logprob: number;
  readonly top: Readonly<Record<string, number>>;
}

/** The `logprobs` of a completion; all lists have one entry for each byte. */
export interface Logprobs {
  readonly tokens: string[];
  readonly token_logprobs: number[];
  readonly top_logprobs: Readonly<Record<string, number>>[];
  /** Characters of the text before the character that the byte belongs to. */
  readonly text_offset: number[];
}

/** The name of an id as a token. */
export function tokenName(id: number): string {
  if (id === EOS) return '<|endoftext|>';
  const byte = id - BYTE_OFFSET;
  if ((byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a) return String.fromCharCode(byte);
  return `bytes:\\x${byte.toString(16).padStart(2, '0')}`;
}

/**
 * log softmax(logits)[byte], and the `count` largest of all bytes and EOS, in falling order. Temperature and top-p are no part of it, and
 * neither are the ids that are never drawn.
 */
export function byteLogprob(logits: Float32Array, byte: number, count: number): ByteLogprob {
  const drawable = Array.from(logits.keys()).filter((id) => id === EOS || id >= BYTE_OFFSET);
  let max = Number.NEGATIVE_INFINITY;
  for (const id of drawable) max = Math.max(max, logits[id]);
  let sum = 0;
  for (const id of drawable) sum += Math.exp(logits[id] - max);
  const norm = max + Math.log(sum);
  const best = count === 0 ? [] : drawable.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, count);
  return {
    byte,
    logprob: logits[byte + BYTE_OFFSET] - norm,
    top: Object.fromEntries(best.map((id) => [tokenName(id), logits[id] - norm])),
  };
}
