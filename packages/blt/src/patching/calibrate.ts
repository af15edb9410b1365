/** @file The entropy threshold that gives a wanted mean patch size. */

/** A threshold and what it does to the corpus it was chosen on. */
export interface Calibration {
  /** nats; exact in float32, for `{ mode: 'entropy', threshold, monotonic, thresholdAdd }` without maxPatchLength. */
  readonly threshold: number;
  /** bytes / patches, so patches * meanPatchBytes = bytes */
  readonly meanPatchBytes: number;
  /** Bytes of the corpus; specials are not among them if `CalibrationOptions.bytes` said so. */
  readonly bytes: number;
  /** Patches of the corpus, those that hold nothing but a special included: each is one step of the global transformer. */
  readonly patches: number;
}

/** Options of `calibrateThreshold`. */
export interface CalibrationOptions {
  /** Calibrate the rule on the rise H[i] - H[i-1] (default false: on H[i]). */
  readonly monotonic?: boolean;
  /** nats. Calibrate the rule that also wants a rise above this (default null: the rule does not). `monotonic` wins over it. */
  readonly thresholdAdd?: number | null;
  /** How many of the positions are bytes of text: `countBytes` of the documents. Default: all of them, for texts without specials. */
  readonly bytes?: number;
}

/**
 * The entropy threshold whose mean patch size over a corpus is as near the target as any threshold gets.
 *
 * patches = sum over documents of #{starts} with starts = {0, 1} and i+1 for every 1 <= i <= S-2 with score[i] > threshold;
 * score = H, or its rise (monotonic, where token 2 always starts one as well). With thresholdAdd token 2 always starts one too, and a
 * later position counts only where i >= 3 and its rise is above thresholdAdd. Counted as `patchLengths` does with includeNextToken: false. A patch of BOS alone is a patch, but BOS is no byte: mean = bytes / patches. Equal scores cannot be told
 * apart by a threshold, so the mean moves in steps, one per group of ties. The nearer of the two steps around the target is taken
 * (equally near: fewer patches).
 * The threshold lies midway between the two scores it separates. A target out of reach gives the nearest mean there is.
 *
 * @param entropiesPerDocument each [S] nats, entropies[i] = H of the prediction made at position i
 * @param targetMeanPatchBytes bytes per patch, >= 1
 * @throws RangeError if the target is below 1, an entropy is not finite, bytes are more than positions, or no document has 3 positions
 *   (monotonic: 4; with thresholdAdd: 5, and no rise is above it)
 * @see Pagnoni et al. 2024, section 2.3: the threshold is estimated on the training mix
 */
export function calibrateThreshold(
  entropiesPerDocument: readonly Float32Array[],
  targetMeanPatchBytes: number,
  { monotonic = false, thresholdAdd = null, bytes: counted }: CalibrationOptions = {},
): Calibration {
  if (!(targetMeanPatchBytes >= 1) || !Number.isFinite(targetMeanPatchBytes)) {
    throw new RangeError(
      `calibrateThreshold: the target must be at least 1 byte per patch, got ${targetMeanPatchBytes}`,
    );
  }
  const least = monotonic || thresholdAdd == null ? Number.NEGATIVE_INFINITY : Math.fround(thresholdAdd);
  const byRise = monotonic || thresholdAdd != null;
  const alwaysStarts = byRise ? 3 : 2;
  const firstDecided = !byRise ? 1 : monotonic ? 2 : 3;
  let positions = 0;
  let always = 0;
  let asked = 0;
  for (const H of entropiesPerDocument) {
    positions += H.length;
    always += Math.min(H.length, alwaysStarts);
    asked += Math.max(0, H.length - 1 - firstDecided);
  }
  if (asked === 0) {
    throw new RangeError(
      `calibrateThreshold: no position to decide about, a document of at least ${firstDecided + 2} bytes is needed`,
    );
  }
  const bytes = counted ?? positions;
  if (!Number.isInteger(bytes) || bytes < 0 || bytes > positions) {
    throw new RangeError(
      `calibrateThreshold: ${bytes} bytes among ${positions} positions cannot be; give 0 .. ${positions}`,
    );
  }
  const scores = sortedScores(entropiesPerDocument, firstDecided, asked, monotonic, least);
  const decided = scores.length;
  if (decided === 0) {
    throw new RangeError(
      `calibrateThreshold: no entropy rises by more than the thresholdAdd of ${thresholdAdd} nats; give a lower one`,
    );
  }
  // A cut c is admissible if it does not separate equal scores: scores[c ..] lie above the threshold.
  const cut = nearestCut(scores, decided - (bytes / targetMeanPatchBytes - always), (c) =>
    Math.abs(bytes / (always + decided - c) - targetMeanPatchBytes),
  );
  const patches = always + decided - cut;
  return { threshold: thresholdAt(scores, cut), meanPatchBytes: bytes / patches, bytes, patches };
}

/**
 * The scores of the positions that a threshold decides about, ascending: entropies, or rises if monotonic.
 * @param first position of a document   @param most positions   @param least rise that a position needs, nats
 */
function sortedScores(
  entropiesPerDocument: readonly Float32Array[],
  first: number,
  most: number,
  monotonic: boolean,
  least: number,
): Float32Array {
  const scores = new Float32Array(most);
  let n = 0;
  for (const [document, H] of entropiesPerDocument.entries()) {
    for (let i = first; i < H.length - 1; i++) {
      const rise = Math.fround(H[i] - H[i - 1]);
      const score = monotonic ? rise : H[i];
      if (!Number.isFinite(score)) {
        throw new RangeError(
          `calibrateThreshold: entropy ${i} of document ${document} is not a finite number: ${H[i]}`,
        );
      }
      if (rise > least || least === Number.NEGATIVE_INFINITY) scores[n++] = score;
    }
  }
  return scores.subarray(0, n).sort();
}

/** The admissible cut of ascending `scores` with the least distance; the distance falls, then rises, around `ideal`. */
function nearestCut(scores: Float32Array, ideal: number, distance: (cut: number) => number): number {
  const n = scores.length;
  let below = Math.max(0, Math.min(n, Math.floor(ideal)));
  let above = Math.min(n, below + 1);
  const separatesTies = (c: number): boolean => c > 0 && c < n && scores[c - 1] === scores[c];
  while (separatesTies(below)) below--;
  while (separatesTies(above)) above++;
  return distance(below) < distance(above) ? below : above;
}

/** A float32 threshold t with scores[cut-1] <= t < scores[cut]. */
function thresholdAt(scores: Float32Array, cut: number): number {
  if (cut === scores.length) return scores[cut - 1];
  // Below every score: any lower number does, one nat keeps clear of rounding.
  if (cut === 0) return Math.fround(scores[0] - 1);
  const middle = Math.fround((scores[cut - 1] + scores[cut]) / 2);
  return middle < scores[cut] ? middle : scores[cut - 1];
}

/**
 * Mean bytes per patch over one or many rows: bytes / number of patches.
 * @param bytes how many of the positions are bytes of text (`countBytes` of the ids). Default: all, the sum of the lengths.
 * @throws RangeError without any patch
 */
export function meanPatchSize(lengths: Int32Array | readonly Int32Array[], bytes?: number): number {
  const rows = lengths instanceof Int32Array ? [lengths] : lengths;
  let positions = 0;
  let patches = 0;
  for (const row of rows) {
    patches += row.length;
    for (const length of row) positions += length;
  }
  if (patches === 0) throw new RangeError('meanPatchSize: there are no patches to average');
  return (bytes ?? positions) / patches;
}
