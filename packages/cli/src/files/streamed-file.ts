/** @file Files that are made while they are written, so that a save never holds the model a second time. */
import type { LazyArray } from '@blt-ts/blt';
import { layoutSafetensors } from '@blt-ts/tensor';

/** The contents of a file, in pieces. */
export interface StreamedFile {
  readonly bytes: number;
  pieces(): AsyncIterable<Uint8Array>;
}

/** Smaller tensors are gathered into pieces of about this many bytes. */
const PIECE = 2 ** 20;

/**
 * The file that `writeSafetensors` makes of the same arrays, byte for byte, one piece of an array in memory at a time.
 * @param arrays name, shape (their length by default), and where the values come from
 */
export function streamedSafetensors(
  arrays: Iterable<readonly [string, LazyArray & { readonly shape?: readonly number[] }]>,
  metadata: Readonly<Record<string, string>> = {},
): StreamedFile {
  const byName = new Map(arrays);
  const { header, tensors, dataSize } = layoutSafetensors(
    [...byName].map(([name, { dtype, shape, length }]) => [name, { dtype, shape: shape ?? [length] }] as const),
    metadata,
  );
  return {
    bytes: header.length + dataSize,
    async *pieces() {
      let gathered: Uint8Array[] = [header];
      let size = header.length;
      for (const name of tensors.keys()) {
        for await (const { buffer, byteOffset, byteLength } of byName.get(name)!.pieces()) {
          const data = new Uint8Array(buffer, byteOffset, byteLength);
          if (size + data.length > PIECE && size > 0) {
            yield joined(gathered);
            gathered = [];
            size = 0;
          }
          gathered.push(data);
          size += data.length;
        }
      }
      if (size > 0) yield joined(gathered);
    },
  };
}

const joined = (pieces: readonly Uint8Array[]): Uint8Array => (pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
