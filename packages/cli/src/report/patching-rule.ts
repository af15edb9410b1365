/** @file The rule by which a model cuts, in words and as the line of a picture. */
import type { PatchingOptions } from '@blt-ts/blt';

/** The rule in words, with so many digits of a number of nats: `entropy above 1.3352 nats`. */
export function patchingInWords(p: PatchingOptions, digits = 4): string {
  switch (p.mode) {
    case 'entropy': {
      const rise = p.thresholdAdd == null || p.monotonic ? '' : `, rise above ${p.thresholdAdd.toFixed(digits)} nats`;
      return `entropy ${p.monotonic ? 'rise ' : ''}above ${p.threshold.toFixed(digits)} nats${rise}`;
    }
    case 'static':
      return p.patchSize === 1 ? 'every byte' : `every ${p.patchSize} bytes`;
    default:
      return p.mode;
  }
}

/** The line over a curve of entropies above which a patch begins, in nats. Null where there is none: rises count, or no entropies. */
export const thresholdLine = (p: PatchingOptions): number | null =>
  p.mode === 'entropy' && !p.monotonic && p.thresholdAdd == null ? p.threshold : null;
