/**
 * @file Checks of ids, targets, positions, starts and bounds. `run` looks at them before a kernel does, because a row that is not
 * there would be another tensor's memory. Each list of numbers is read once, not once a kernel: its summary is kept with it.
 */
import type { IndexSummary, Storage } from '../backend.ts';
import type { IndexRange, Spec } from './types.ts';

/** Rows of the first input. */
export const rowsOf = ([table]: readonly Spec[]): number => table.shape[0];

/** Input `input` holds ids below `end`. */
export const idsOf = <Attrs>(input: number, end: IndexRange<Attrs>['end']): IndexRange<Attrs> => ({
  input,
  name: 'id',
  end,
});

/** One look at a storage: what was asked of its numbers. */
interface IndexCheck {
  readonly op: string;
  readonly storage: Storage;
  readonly name: string;
  readonly lowest: number;
  readonly end: number;
  readonly step: number;
}

const valuesOf = (storage: Storage) => storage.backend.readSync(storage) as Int32Array;

function summaryOf(storage: Storage): IndexSummary {
  const { summary, version } = storage;
  if (summary?.version === version) return summary;
  const values = valuesOf(storage);
  let smallest = 2 ** 31 - 1;
  let largest = -(2 ** 31);
  let step = 2 ** 32;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < smallest) smallest = value;
    if (value > largest) largest = value;
    if (i > 0 && value - values[i - 1] < step) step = value - values[i - 1];
  }
  return (storage.summary = { version, smallest, largest, step });
}

/** Notes of whole numbers that a kernel made what it knows of them: they are in 0..end-1. */
export function noteRange(storage: Storage, end: number): void {
  const { version } = storage;
  storage.summary = { version, smallest: 0, largest: end - 1, step: -(2 ** 32) };
}

let noted: IndexCheck[] | null = null;

/** Runs `f` and returns the checks made in it, for `checkAgain` when the numbers have changed. */
export function noteIndexChecks(f: () => void): readonly IndexCheck[] {
  const outer = noted;
  const mine: IndexCheck[] = [];
  noted = mine;
  try {
    f();
  } finally {
    noted = outer;
    for (const check of mine) outer?.push(check);
  }
  return mine;
}

/** @throws RangeError naming the op, the first number that is not allowed, its place, and what is allowed */
export function checkAgain(check: IndexCheck): void {
  const { op, storage, name, lowest, end, step } = check;
  const { smallest, largest, step: found } = summaryOf(storage);
  if (smallest >= lowest && largest < end && found >= step) return;
  const values = valuesOf(storage);
  checkIds(op, values, end, lowest, name);
  const i = values.findIndex((value, at) => at > 0 && value - values[at - 1] < step);
  if (i < 0) return; // What a kernel has noted of its results may be wider than they are.
  throw new RangeError(
    `${op}: ${name} ${values[i]} at position ${i} comes after ${values[i - 1]}; ${step === 0 ? 'they may never decrease' : 'each must be larger than the one before'}`,
  );
}

/** @throws RangeError as `checkAgain` */
export function checkIndices<Attrs>(
  op: string,
  ranges: readonly IndexRange<Attrs>[],
  ins: readonly (Spec & { readonly storage: Storage })[],
  attrs: Attrs,
): void {
  for (const { input, name, lowest = 0, end, step = -Infinity } of ranges) {
    const check = { op, storage: ins[input].storage, name, lowest, end: end(ins, attrs), step };
    checkAgain(check);
    noted?.push(check);
  }
}

/** @throws RangeError naming the first id outside lowest..limit-1 */
export function checkIds(op: string, ids: Int32Array, limit: number, lowest = 0, name = 'id'): void {
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] < lowest || ids[i] >= limit) {
      throw new RangeError(`${op}: ${name} ${ids[i]} at position ${i} is outside ${lowest}..${limit - 1}`);
    }
  }
}
