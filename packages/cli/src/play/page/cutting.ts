/** @file Cutting a text as the page's fields say, and the key of its picture. */
import { encode, type PatchingOptions, patchLengths } from '@blt-ts/blt';

/** Entropies of positions BOS, byte 0, ...: one more than there are bytes, of which the last predicts nothing and is never read. */
export function withLast(entropies: Float32Array): Float32Array {
  const all = new Float32Array(entropies.length + 1);
  all.set(entropies);
  return all;
}

/** Patch lengths of the bytes, as `blt patch` gives them: BOS, a patch of its own, is left out. */
export function cut(bytes: Uint8Array, entropies: Float32Array | null, options: PatchingOptions): Int32Array {
  const ids = encode(bytes, { bos: true, eos: false });
  const all = entropies && options.mode === 'entropy' ? withLast(entropies) : null;
  const [first, ...rest] = patchLengths(ids, all, options, { includeNextToken: false });
  return Int32Array.from(first > 1 ? [first - 1, ...rest] : rest);
}

/** Text of well-formed UTF-8, else null. A NUL byte means that it is no text either. */
export function decoded(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    // A text field turns carriage returns into newlines: such files stay as they are.
    return /[\0\r]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** The key of the picture, as HTML. */
export function key(hasCurve: boolean, hasThreshold: boolean): string {
  const items = ['<span><i class="bar" style="border-color:var(--muted)"></i>a patch starts</span>'];
  if (hasCurve) items.unshift('<span><i style="border-color:var(--curve)"></i>entropy of each byte, nats</span>');
  if (hasThreshold) items.push('<span><i style="border-color:var(--threshold)"></i>threshold</span>');
  return items.join('');
}
