/** @file The patcher while decoding: a few numbers for each sequence, advanced byte by byte. They are values, so a step can be undone. */
import { type BoundaryRule, boundaryRule, type PatchingOptions } from '../patching/boundaries.ts';
import { EOS } from '../patching/vocabulary.ts';

/** The patcher after some bytes of a sequence. */
export interface PatcherState {
  /** Ids read so far, specials included. */
  readonly length: number;
  readonly lastId: number;
  /** Entropy of the prediction made at the last position, nats. */
  readonly lastEntropy: number;
  /** First position of the current document. */
  readonly documentStart: number;
  /** First position of the patch that is still open. */
  readonly patchStart: number;
  /** Patches finished. */
  readonly patches: number;
  /** First patch of the document that the next patch belongs to. */
  readonly patchDocumentStart: number;
  /** The open patch holds an EOS. */
  readonly endsDocument: boolean;
}

/** The patcher before the first byte. */
export const INITIAL_STATE: PatcherState = {
  length: 0,
  lastId: 0,
  lastEntropy: 0,
  documentStart: 0,
  patchStart: 0,
  patches: 0,
  patchDocumentStart: 0,
  endsDocument: false,
};

/** A patch that has all its bytes: positions start .. end-1 of its text. */
export interface FinishedPatch {
  readonly start: number;
  readonly end: number;
  /** Position in the global model. */
  readonly index: number;
  /** First patch it sees. */
  readonly firstSeen: number;
}

/** A finished patch, and the sequence it belongs to. */
export interface SequencePatch {
  readonly sequence: number;
  readonly patch: FinishedPatch;
}

/** How the patches of a sequence end. */
export interface BoundaryDecision {
  readonly rule: BoundaryRule;
  readonly maxPatchLength: number | null;
  /** Documents end after an EOS, for patches too. */
  readonly documents: boolean;
}

/** The decision for the patching options of a model. @param documents nothing is seen across documents */
export const boundaryDecision = (patching: PatchingOptions, documents: boolean): BoundaryDecision => ({
  rule: boundaryRule(patching),
  maxPatchLength: patching.maxPatchLength ?? null,
  documents,
});

/**
 * The state after one more id, and the patch that it finishes, if the NEXT token starts a new one: always after position 0, else
 * as the rule says, or when the open patch is full.
 * @param entropy of the prediction made after this id, nats
 */
export function advance(
  s: PatcherState,
  id: number,
  entropy: number,
  { rule, maxPatchLength, documents }: BoundaryDecision,
): { state: PatcherState; finished: FinishedPatch | null } {
  const i = s.length;
  const end = i + 1;
  const ends =
    i === 0 ||
    rule(i, id, s.lastId, entropy, s.lastEntropy) ||
    (maxPatchLength !== null && end - s.patchStart >= maxPatchLength);
  const closes = documents && id === EOS;
  const endsDocument = s.endsDocument || closes;
  const read = { length: end, lastId: id, lastEntropy: entropy, documentStart: closes ? end : s.documentStart };
  if (!ends) {
    const { patchStart, patches, patchDocumentStart } = s;
    return { state: { ...read, patchStart, patches, patchDocumentStart, endsDocument }, finished: null };
  }
  return {
    state: {
      ...read,
      patchStart: end,
      patches: s.patches + 1,
      patchDocumentStart: endsDocument ? s.patches + 1 : s.patchDocumentStart,
      endsDocument: false,
    },
    finished: { start: s.patchStart, end, index: s.patches, firstSeen: s.patchDocumentStart },
  };
}
