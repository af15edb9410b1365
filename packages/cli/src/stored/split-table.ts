/** @file Which bytes of a corpus on disk are trained on and which are held out: the rules of data/split.ts, on a table. */
import {
  characterBoundary,
  checkBothSides,
  checkFraction,
  contentUniform,
  EXPECTED_HELD_OUT,
  endCut,
  HELD_OUT_FRACTION,
  isNear,
  plainTailStart,
  type SplitChoice,
  type SplitMode,
  tailStart,
} from '../data/split.ts';
import type { DocumentTable, Row } from './document-table.ts';
import { fetchRanges, type Stored } from './fetch.ts';
import { aroundCut } from './tail.ts';

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/**
 * Sets the cut of every document: what comes before it is trained on. The same as `splitCorpus` for the same documents.
 * @returns the way that was chosen
 * @throws UserError as `splitCorpus`
 */
export async function splitTable(
  stored: Stored,
  choice: SplitChoice,
  { fraction = HELD_OUT_FRACTION, seed = 0 }: { fraction?: number; seed?: number } = {},
): Promise<SplitMode> {
  const { table } = stored;
  checkFraction(fraction);
  if (fraction === 0) {
    for (let i = 0; i < table.length; i++) table.setCut(i, table.row(i).size);
    return choice === 'auto' ? 'end' : choice;
  }
  if (choice === 'end') return splitEnd(stored, fraction);
  if (choice === 'documents' || (choice === 'auto' && hasManyDocuments(table, fraction))) {
    const { train, heldOut, share } = shareByContent(table, fraction, seed);
    if (choice === 'documents') checkBothSides(train, heldOut);
    if (choice === 'documents' || isNear(share, fraction)) {
      splitByContent(table, fraction, seed);
      return 'documents';
    }
  }
  const heldOut = await splitTails(stored, fraction);
  return choice === 'tails' || heldOut > 0 ? 'tails' : splitEnd(stored, fraction);
}

const bytesOf = (table: DocumentTable): number => {
  let total = 0;
  for (const { size } of table.all()) total += size;
  return total;
};

/** Contents that are compared at once. */
const MOST_COMPARED = 2 ** 19;

/**
 * `manyDocuments` of data/split.ts. Equal documents are found share by share of all hashes, each with a pass over the table. They only make
 * the squares larger, so one pass is enough where the squares are too large already: where a few documents are most of the data.
 */
function hasManyDocuments(table: DocumentTable, fraction: number): boolean {
  if (table.length * fraction < EXPECTED_HELD_OUT) return false;
  let [total, squares] = [0, 0];
  for (const { size } of table.all()) {
    total += size;
    squares += size * size;
  }
  const isMany = () => squares > 0 && (fraction * total * total) / squares >= EXPECTED_HELD_OUT;
  if (!isMany()) return false;
  const shares = Math.ceil(table.length / MOST_COMPARED);
  squares = 0;
  for (let share = 0; share < shares; share++) {
    const byContent = new Map<string, number>();
    for (const { sha256, size } of table.all()) {
      if (shares > 1 && (sha256[0] * 256 + sha256[1]) % shares !== share) continue;
      const key = hex(sha256);
      byContent.set(key, (byContent.get(key) ?? 0) + size);
    }
    for (const bytes of byContent.values()) squares += bytes * bytes;
  }
  return isMany();
}

const isHeldOut = ({ sha256 }: Row, fraction: number, seed: number): boolean =>
  contentUniform(hex(sha256), seed) < fraction;

/** Documents on both sides, and the share of the bytes that is held out, if whole documents are drawn. */
function shareByContent(table: DocumentTable, fraction: number, seed: number) {
  let [train, heldOut, heldOutBytes, total] = [0, 0, 0, 0];
  for (const row of table.all()) {
    total += row.size;
    if (isHeldOut(row, fraction, seed)) {
      heldOut++;
      heldOutBytes += row.size;
    } else train++;
  }
  return { train, heldOut, share: heldOutBytes / total };
}

function splitByContent(table: DocumentTable, fraction: number, seed: number): void {
  for (let i = 0; i < table.length; i++) {
    const row = table.row(i);
    table.setCut(i, isHeldOut(row, fraction, seed) ? 0 : row.size);
  }
}

/** Documents that are read at once. */
const BATCH = 4096;

/**
 * Cuts the documents that the survey has not cut, for which it did not know the size: whole files.
 * @returns held-out bytes of all
 */
async function splitTails(stored: Stored, fraction: number): Promise<number> {
  const { table } = stored;
  let heldOut = 0;
  for (let first = 0; first < table.length; first += BATCH) {
    const ranges = [];
    for (let i = first; i < Math.min(table.length, first + BATCH); i++) {
      const { size, cut: known } = table.row(i);
      const cut = Number.isNaN(known) ? plainTailStart(size, fraction) : known;
      table.setCut(i, cut);
      if (!Number.isNaN(known)) heldOut += size - cut;
      else if (cut < size) ranges.push({ document: i, ...aroundCut(cut, size) });
    }
    for (const [k, bytes] of (await fetchRanges(stored, ranges)).entries()) {
      const { document, from } = ranges[k];
      const { size } = table.row(document);
      const cut = tailStart((at) => bytes[at - from], size, fraction);
      table.setCut(document, cut);
      heldOut += size - cut;
    }
  }
  return heldOut;
}

async function splitEnd(stored: Stored, fraction: number): Promise<'end'> {
  const { table } = stored;
  const cut = endCut(bytesOf(table), fraction);
  let start = 0;
  for (let i = 0; i < table.length; i++) {
    const { size } = table.row(i);
    const inside = Math.min(size, Math.max(0, cut - start));
    table.setCut(i, inside);
    if (inside > 0 && inside < size) {
      const range = { document: i, ...aroundCut(inside, size) };
      const [bytes] = await fetchRanges(stored, [range]);
      table.setCut(
        i,
        characterBoundary((at) => bytes[at - range.from], size, inside),
      );
    }
    start += size;
  }
  return 'end';
}
