/** @file The bytes that the model reads of a text. */
import { decodeBytes, encode } from '@blt-ts/blt';

/** UTF-8 without unpaired surrogates, which JSON can write as escapes. They have no UTF-8, and `blt generate` reads nothing of them. */
export const bytesOf = (text: string): Uint8Array => decodeBytes(encode(text, { bos: false }));
