/** @file How threads find out that they have opened the same model, and compute the same. */
import { BOS, BYTE_OFFSET, type Checkpoint, nextByteLogits, surelyRead } from '@blt-ts/blt';

/** Bytes that are read for it. */
const PROBE = 64;

/** The logits after some bytes that look like nothing: two trained models never agree on their bits. */
export function probe(checkpoint: Checkpoint): Float32Array {
  const length = Math.min(PROBE, surelyRead(checkpoint.config));
  return nextByteLogits(
    checkpoint,
    Int32Array.from({ length }, (_, i) => (i === 0 ? BOS : BYTE_OFFSET + ((i * i * 7 + 13 * i) % 256))),
  );
}
