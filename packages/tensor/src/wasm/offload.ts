/**
 * @file Tables too big for one WebAssembly memory (4 GiB) live outside it, each in an array of its own. The kernels that read or update
 * rows work on a copy of just these rows inside; their cost follows the rows, not the table. Any other kernel on such a table runs
 * the definition in reference/.
 *
 * A row of a large table is in no cache: to read or write it takes longer than to compute with it. A training step reads the same
 * rows three times (to catch up, forward, to update), so rows that were updated stay inside until others are asked for, or the
 * table as a whole.
 */
import type { Operand, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';

/** Whether the values of an operand lie outside the WebAssembly memory. */
export const isOffloaded = (x: Operand): boolean => x.storage.handle instanceof Float32Array;

/** Kernels that name rows of their first inputs: how many tables, the place of the ids, and whether the tables are updated. */
const ROW_KERNELS: Partial<Record<KernelName, { tables: number; ids: number; updates: boolean }>> = {
  gatherRows: { tables: 1, ids: 1, updates: false },
  embeddingBag: { tables: 1, ids: 1, updates: false },
  adamwRows: { tables: 3, ids: 3, updates: true },
  adamwCatchUp: { tables: 3, ids: 3, updates: true },
};

/** The backend as far as staging needs it: storages and kernels in the WebAssembly memory. */
export interface HeapAccess {
  /** Always in the memory, whatever the size. */
  allocateInside(dtype: 'f32' | 'i32', length: number): Storage;
  free(storage: Storage): void;
  /** A live view of a storage. */
  values(storage: Storage): Float32Array | Int32Array;
  runInside<K extends KernelName>(
    kernel: K,
    outs: readonly Operand[],
    ins: readonly Operand[],
    attrs: KernelAttrs[K],
  ): void;
}

/** 0, 1, 2, ...: as long as the longest list of rows so far. */
let counting = new Int32Array(0);

function countTo(n: number): Int32Array {
  if (counting.length < n) counting = Int32Array.from({ length: n }, (_, i) => i);
  return counting.subarray(0, n);
}

/** Place of each row of a table among those that a call names, else -1; as long as the longest table so far. */
let placeOfRow = new Int32Array(0);

/** The rows of `ids` that are there, each once and rising, and for each id its place among them (negative ids stay). */
function compact(ids: Int32Array, tableRows: number): { rows: Int32Array; places: Int32Array } {
  const n = ids.length;
  let rising = 0;
  while (rising < n && ids[rising] > (rising === 0 ? -1 : ids[rising - 1])) rising++;
  if (rising === n) return { rows: ids.slice(), places: countTo(n) };
  if (placeOfRow.length < tableRows) placeOfRow = new Int32Array(tableRows).fill(-1);
  const found = new Int32Array(n);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const id = ids[i];
    if (id < 0 || placeOfRow[id] !== -1) continue;
    placeOfRow[id] = 0;
    found[count++] = id;
  }
  const rows = found.slice(0, count).sort();
  for (let u = 0; u < count; u++) placeOfRow[rows[u]] = u;
  const places = new Int32Array(n);
  for (let i = 0; i < n; i++) places[i] = ids[i] < 0 ? ids[i] : placeOfRow[ids[i]];
  for (let u = 0; u < count; u++) placeOfRow[rows[u]] = -1;
  return { rows, places };
}

/** This many rows are read ahead before they are copied, so that their cache misses overlap: each row lies in a page of its own. */
const PREFETCHED = 16;
/** Elements of a cache line of 64 bytes. */
const LINE = 16;

/** Memory seen as whole numbers, because copying floats could change the bits of a NaN. */
const bitsOf = ({ buffer, byteOffset, length }: Float32Array | Int32Array): Int32Array =>
  new Int32Array(buffer, byteOffset, length);

/**
 * Copies row fromRows[u] to row toRows[u]. These are plain loops, because a call of `set` takes longer than copying a row.
 * @param back true if `to` is the table: one word of each of its rows is read ahead. Otherwise `from` is, and all its lines are read
 * @returns a mix of the values that were read ahead, so that no compiler leaves the reads out
 */
function copyRows(
  from: Int32Array,
  fromRows: Int32Array,
  to: Int32Array,
  toRows: Int32Array,
  C: number,
  back: boolean,
): number {
  let sink = 0;
  for (let begin = 0; begin < fromRows.length; begin += PREFETCHED) {
    const end = Math.min(begin + PREFETCHED, fromRows.length);
    for (let u = begin; u < end; u++) {
      if (back) sink |= to[toRows[u] * C];
      else for (let i = 0; i < C; i += LINE) sink |= from[fromRows[u] * C + i];
    }
    for (let u = begin; u < end; u++) {
      const inFrom = fromRows[u] * C;
      const inTo = toRows[u] * C;
      for (let i = 0; i < C; i++) to[inTo + i] = from[inFrom + i];
    }
  }
  return sink;
}

/** Rows of a table inside the WebAssembly memory, one after the other. */
interface StagedRows {
  /** Which, each once and rising. */
  readonly rows: Int32Array;
  readonly storage: Storage;
  readonly columns: number;
  /** True if the table's own rows may be out of date. */
  changed: boolean;
}

/** Two rising lists compared: the rows that `others` lacks with their places in `rows`, and the places in both lists of the common ones. */
function compare(rows: Int32Array, others: Int32Array) {
  const n = rows.length;
  const [lone, lonePlaces] = [new Int32Array(n), new Int32Array(n)];
  const [sharedPlaces, otherPlaces] = [new Int32Array(n), new Int32Array(n)];
  let [alone, shared, at] = [0, 0, 0];
  for (let u = 0; u < n; u++) {
    while (at < others.length && others[at] < rows[u]) at++;
    if (at < others.length && others[at] === rows[u]) {
      sharedPlaces[shared] = u;
      otherPlaces[shared++] = at;
    } else {
      lone[alone] = rows[u];
      lonePlaces[alone++] = u;
    }
  }
  return {
    lone: lone.subarray(0, alone),
    lonePlaces: lonePlaces.subarray(0, alone),
    sharedPlaces: sharedPlaces.subarray(0, shared),
    otherPlaces: otherPlaces.subarray(0, shared),
  };
}

/** The rows of one table that stay inside, if any do. It does not keep the table alive. */
export class Staging {
  current: StagedRows | undefined;
}

/** The tables outside the WebAssembly memory, and the rows of them that are inside at the moment. */
export class OffloadedTables {
  private readonly heap: HeapAccess;
  private readonly stagings = new WeakMap<Float32Array, Staging>();
  /** Values read ahead of their use; kept so that no compiler leaves the reads out. */
  prefetchSink = 0;

  constructor(heap: HeapAccess) {
    this.heap = heap;
  }

  /** The rows of a table that are staged. */
  of(table: Float32Array): Staging {
    let staging = this.stagings.get(table);
    if (!staging) this.stagings.set(table, (staging = new Staging()));
    return staging;
  }

  /** The whole table, up to date. */
  values(table: Float32Array): Float32Array {
    const staging = this.of(table);
    const staged = staging.current;
    if (staged?.changed) {
      const { rows, storage, columns } = staged;
      const from = bitsOf(this.heap.values(storage));
      this.prefetchSink |= copyRows(from, countTo(rows.length), bitsOf(table), rows, columns, true);
    }
    this.forget(staging);
    return table;
  }

  /** Drops what is kept of a table: it is freed. */
  forget(staging: Staging): void {
    if (staging.current) this.heap.free(staging.current.storage);
    staging.current = undefined;
  }

  /**
   * Runs a row kernel on tables outside.
   * @param mayKeep false if memory that is allocated now does not last, so that no rows may stay inside
   * @returns false, with nothing done, if it is no row kernel or its tables are not all outside
   */
  run<K extends KernelName>(
    kernel: K,
    outs: readonly Operand[],
    ins: readonly Operand[],
    attrs: KernelAttrs[K],
    mayKeep: boolean,
  ): boolean {
    const form = ROW_KERNELS[kernel];
    if (!form || outs.some(isOffloaded) || !ins.slice(0, form.tables).every(isOffloaded)) return false;
    const [tableRows, C] = ins[0].shape;
    const tables = ins.slice(0, form.tables).map((x) => x.storage.handle as Float32Array);
    const { rows, places } = compact(this.heap.values(ins[form.ids].storage) as Int32Array, tableRows);
    const made: Storage[] = [];
    const put = ({ dtype, shape }: Operand, values: Float32Array | Int32Array): Operand => {
      const storage = this.heap.allocateInside(dtype, values.length);
      made.push(storage);
      this.heap.values(storage).set(values);
      return { storage, dtype, shape };
    };
    try {
      const staged = tables.map((table) => this.stage(table, rows, C));
      const moved = ins.map((x, i) => {
        if (i < form.tables) return { storage: staged[i].storage, dtype: x.dtype, shape: [rows.length, C] };
        if (i === form.ids) return put(x, places);
        return isOffloaded(x) ? put(x, this.heap.values(x.storage)) : x;
      });
      this.heap.runInside(kernel, outs, moved, attrs);
      for (const s of staged) s.changed ||= form.updates;
    } finally {
      for (const storage of made) this.heap.free(storage);
      // Rows that were only read go at once: the next call reads others.
      for (const table of tables) if (!mayKeep || !this.of(table).current?.changed) this.values(table);
    }
    return true;
  }

  /** Brings these rows of a table inside. Rows that were inside and are not among them go back to the table. */
  private stage(table: Float32Array, rows: Int32Array, C: number): StagedRows {
    const staging = this.of(table);
    const old = staging.current;
    const fresh = old ? compare(rows, old.rows) : null;
    if (old && fresh!.lone.length === 0 && rows.length === old.rows.length) return old;
    const storage = this.heap.allocateInside('f32', rows.length * C);
    const [bits, to] = [bitsOf(table), bitsOf(this.heap.values(storage))];
    if (old && fresh) {
      const from = bitsOf(this.heap.values(old.storage));
      this.prefetchSink |= copyRows(bits, fresh.lone, to, fresh.lonePlaces, C, false);
      this.prefetchSink |= copyRows(from, fresh.otherPlaces, to, fresh.sharedPlaces, C, false);
      const gone = compare(old.rows, rows);
      if (old.changed) this.prefetchSink |= copyRows(from, gone.lonePlaces, bits, gone.lone, C, true);
      this.heap.free(old.storage);
    } else this.prefetchSink |= copyRows(bits, rows, to, countTo(rows.length), C, false);
    staging.current = { rows, storage, columns: C, changed: old?.changed ?? false };
    return staging.current;
  }
}
