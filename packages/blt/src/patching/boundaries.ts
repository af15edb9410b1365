/** @file The boundary rules: whether the next token starts a patch, and the patch lengths of a row that follow. */
import { BPE, BYTE_OFFSET } from './vocabulary.ts';

/** How a row of bytes is cut into patches. Entropies and thresholds are in nats. */
export type PatchingOptions =
  | {
      readonly mode: 'entropy';
      /** nats; a patch starts where the entropy (monotonic: its rise) is strictly above it. */
      readonly threshold: number;
      /** Compare H[i] - H[i-1] instead of H[i]; wins over thresholdAdd. */
      readonly monotonic?: boolean;
      /** When set, the rise must exceed thresholdAdd AND the entropy must exceed threshold. */
      readonly thresholdAdd?: number | null;
      readonly maxPatchLength?: number | null;
    }
  | { readonly mode: 'space' | 'byte' | 'bpe'; readonly maxPatchLength?: number | null }
  | { readonly mode: 'static'; readonly patchSize: number; readonly maxPatchLength?: number | null };

/**
 * Whether token i+1 starts a patch, from what is known after token i: the one place where boundaries are decided.
 * (`maxPatchLength` comes on top: a patch that already holds that many bytes also ends.)
 */
export type BoundaryRule = (
  i: number,
  id: number,
  previousId: number,
  entropy: number,
  previousEntropy: number,
) => boolean;

/**
 * The boundary decision of `options` for i >= 1; tokens 0 and 1 start patches in every mode but `static`, so callers
 * need not ask for i = 0. Every rule reads tokens up to i only, so decoding byte by byte cuts as the whole row does.
 *
 * - entropy, global: H[i] > threshold. Monotonic: i = 1, or H[i] - H[i-1] > threshold. With thresholdAdd: i = 1, or
 *   i >= 3 and both H[i] - H[i-1] > thresholdAdd and H[i] > threshold (i = 2 never cuts: an accident of the released
 *   code that its data depends on). All in float32, strict.
 * - space: a space-like byte (not a digit, ASCII letter or UTF-8 continuation byte) ends a patch unless the byte before
 *   it is space-like too; a special id always ends one and counts as space-like.
 * - bpe: an id 3 ends a patch. (The authors' code ignores one in the last position, which only the unseen next token
 *   could notice; counting it keeps decoding byte by byte equal to the whole row.)
 * - static: multiples of patchSize start patches.
 * @throws RangeError or TypeError for options that make no sense
 */
export function boundaryRule(options: PatchingOptions): BoundaryRule {
  validateOptions(options);
  switch (options.mode) {
    case 'entropy': {
      const threshold = Math.fround(options.threshold);
      if (options.monotonic) {
        return (i, _id, _previousId, h, previous) => i === 1 || Math.fround(h - previous) > threshold;
      }
      if (options.thresholdAdd != null) {
        const add = Math.fround(options.thresholdAdd);
        return (i, _id, _previousId, h, previous) =>
          i === 1 || (i >= 3 && Math.fround(h - previous) > add && h > threshold);
      }
      return (_i, _id, _previousId, h) => h > threshold;
    }
    case 'space':
      return (_i, id, previousId) => id < BYTE_OFFSET || (isSpaceLike(id) && !isSpaceLike(previousId));
    case 'byte':
      return () => true;
    case 'bpe':
      return (_i, id) => id === BPE;
    case 'static': {
      const { patchSize } = options;
      return (i) => (i + 1) % patchSize === 0;
    }
  }
}

/** SpaceByte's rule: neither digit, ASCII letter nor UTF-8 continuation byte; specials count as space-like. */
function isSpaceLike(id: number): boolean {
  const byte = id - BYTE_OFFSET;
  return (
    byte < 0x30 ||
    (byte > 0x39 && byte < 0x41) ||
    (byte > 0x5a && byte < 0x61) ||
    (byte > 0x7a && byte < 0x80) ||
    byte >= 0xc0
  );
}

/**
 * Patch lengths of ONE row, as the authors' patcher gives them.
 *
 * @param ids [S]
 * @param entropies [S] nats, entropies[i] = H of the prediction made at position i (for token i+1); used by mode
 *   'entropy' only (null otherwise). entropies[0] is never read.
 * @param includeNextToken true: lengths cover S+1 tokens, the next unseen one included (what the model reads);
 *   false: they cover the S tokens given (what a data pipeline stores per document).
 * @returns [P], all >= 1, sum S+1 or S
 * @throws RangeError or TypeError if the options make no sense or the entropies do not match the ids
 */
export function patchLengths(
  ids: Int32Array,
  entropies: Float32Array | null,
  options: PatchingOptions,
  { includeNextToken }: { includeNextToken: boolean },
): Int32Array {
  const lengths = cut(ids, entropies, options, includeNextToken);
  return options.maxPatchLength == null ? lengths : splitLongPatches(lengths, options.maxPatchLength);
}

/**
 * Patch lengths as the model needs them: the next token included (sum S+1) and a first patch of length 1 in every mode.
 * Only static patches differ from `patchLengths`: p p ... becomes 1 p-1 p ...
 * @param ids [S]   @param entropies [S] nats or null   @returns [P], sum S+1
 */
export function modelPatchLengths(
  ids: Int32Array,
  entropies: Float32Array | null,
  options: PatchingOptions,
): Int32Array {
  const lengths = splitFirstPatch(cut(ids, entropies, options, true));
  return options.maxPatchLength == null ? lengths : splitLongPatches(lengths, options.maxPatchLength);
}

function cut(ids: Int32Array, entropies: Float32Array | null, options: PatchingOptions, next: boolean): Int32Array {
  const S = ids.length;
  if (options.mode === 'entropy' && entropies !== null && entropies.length !== S) {
    throw new RangeError(`patchLengths: one entropy per id is needed, got ${entropies.length} for ${S} ids`);
  }
  const total = next ? S + 1 : S;
  return total === 0 ? new Int32Array(0) : segmentLengths(ids, 0, total, entropies, options).lengths;
}

/**
 * Patch lengths of one segment of a row, the tokens from .. to-1, decided as in the whole row. So segments of a row can be cut by
 * different machines. Their lengths laid end to end are those of the row, once the last length of each segment that is `open` has been
 * added to the first of the next. A segment that ends at the row's end (to = S, or S+1 with the next token) is never open.
 * `maxPatchLength` is left out, because a patch may have begun long before: apply `splitLongPatches` to the joined lengths.
 * @param ids [S]
 * @param entropies [S] nats, of which those from-1 .. to-1 are read (mode `entropy`); null for other modes
 */
export function segmentLengths(
  ids: Int32Array,
  from: number,
  to: number,
  entropies: Float32Array | null,
  options: PatchingOptions,
): { lengths: Int32Array; open: boolean } {
  const rule = boundaryRule(options);
  if (options.mode === 'entropy' && entropies === null) {
    throw new TypeError("patchLengths: mode 'entropy' needs the entropies of the row, got null");
  }
  const H = options.mode === 'entropy' ? entropies! : new Float32Array(0);
  const lengths = new Int32Array(to - from);
  let patches = 0;
  let start = from;
  // A patch ends after token i.
  for (let i = from; i < to && i < ids.length; i++) {
    const ends =
      i === 0 && options.mode !== 'static' ? true : rule(i, ids[i], i > 0 ? ids[i - 1] : 0, H[i], i > 0 ? H[i - 1] : 0);
    if (!ends) continue;
    lengths[patches++] = i + 1 - start;
    start = i + 1;
  }
  // The last patch ends with the row, or goes on in the next segment.
  const open = start < to && to < ids.length;
  if (start < to) lengths[patches++] = to - start;
  return { lengths: lengths.slice(0, patches), open };
}

/**
 * Every length L > max becomes max, max, ..., remainder: the same as starting a new patch after `max` bytes. Other
 * lengths, zeros included, stay.
 * @throws RangeError if max is not an integer >= 1
 */
export function splitLongPatches(lengths: Int32Array, max: number): Int32Array {
  requireInteger('splitLongPatches: max', max);
  const out: number[] = [];
  for (const length of lengths) {
    let rest = length;
    for (; rest > max; rest -= max) out.push(max);
    out.push(rest);
  }
  return Int32Array.from(out);
}

/** A first patch L > 1 becomes 1, L-1: the model predicts byte 1 from patch 0, so patch 0 may hold byte 0 only. */
export function splitFirstPatch(lengths: Int32Array): Int32Array {
  return lengths.length === 0 || lengths[0] <= 1
    ? lengths
    : Int32Array.from([1, lengths[0] - 1, ...lengths.subarray(1)]);
}

function requireInteger(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be an integer >= 1, got ${value}`);
}

function validateOptions(options: PatchingOptions): void {
  if (options.maxPatchLength != null) requireInteger('patching: maxPatchLength', options.maxPatchLength);
  switch (options.mode) {
    case 'entropy':
      if (!Number.isFinite(options.threshold)) {
        throw new RangeError(`patching: threshold must be a finite number of nats, got ${options.threshold}`);
      }
      if (options.thresholdAdd != null && !Number.isFinite(options.thresholdAdd)) {
        throw new RangeError(`patching: thresholdAdd must be a finite number of nats, got ${options.thresholdAdd}`);
      }
      return;
    case 'static':
      requireInteger('patching: patchSize', options.patchSize);
      return;
    case 'space':
    case 'byte':
    case 'bpe':
      return;
    default:
      throw new TypeError(
        `patching: unknown mode '${(options as { mode: string }).mode}', use entropy, space, static, byte or bpe`,
      );
  }
}
