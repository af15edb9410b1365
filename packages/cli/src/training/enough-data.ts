/** @file Whether there are enough data to train on, and to hold out. */
import type { RunPlan } from '@blt-ts/blt';
import { answerBytes, type Document } from '../data/document.ts';
import type { RunData } from '../data/run-data.ts';
import type { RunRecord } from '../run/record.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';

/** Fewer bytes than these teach nothing, in however short rows they are cut. */
const LEAST_BYTES = 64;

/** Bytes of data that leave `trainBytes` to train on when `fraction` of them is held out. Rounded up to tens. */
const bytesFor = (trainBytes: number, fraction: number): number => Math.ceil(trainBytes / (1 - fraction) / 10) * 10;

/** Whether there are documents, of which only the answers count, and these have none. */
const hasNoAnswer = (documents: readonly Document[]): boolean =>
  documents.every(({ answers }) => answers !== undefined) && answerBytes(documents) === 0;

/** Refuses data that are too little to train on. @throws UserError */
export function checkSize(
  { trainBytes, heldOutBytes, loaded }: Pick<RunData, 'trainBytes' | 'heldOutBytes' | 'loaded'>,
  plan: RunPlan,
  { heldOut, heldOutFraction }: Pick<RunRecord, 'heldOut' | 'heldOutFraction'>,
): void {
  const needed = (plan.model.maxRowBytes ?? 2) / 2;
  if (trainBytes < needed) {
    const enough = `give at least ${bytesFor(needed, heldOut ? 0 : heldOutFraction)} bytes of text`;
    if (trainBytes < LEAST_BYTES) {
      const all = trainBytes + (heldOut ? 0 : heldOutBytes);
      throw new UserError(
        `${counted(all, 'byte is', 'bytes are')} too little to train on; ${enough}, 20,000 are a good start`,
        2,
      );
    }
    throw new UserError(
      `the training part has ${counted(trainBytes, 'byte')}, less than one row of ${needed}; ${enough}, or --row-bytes ${Math.floor(trainBytes / 4)}`,
      2,
    );
  }
  if (heldOutBytes === 0 && heldOutFraction > 0) {
    throw new UserError('nothing is left to hold out; give more text, or --held-out-fraction 0', 2);
  }
  if (loaded && hasNoAnswer(loaded.heldOut)) {
    throw new UserError(
      'the held-out chats have no byte of an answer, so there is nothing to measure; begin a new run, which holds out whole chats, or give chats with answers as --held-out',
      2,
    );
  }
}
