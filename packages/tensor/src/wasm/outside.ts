/**
 * @file Tables too big for one WebAssembly memory (4 GiB) live outside it, each in an array of its own. The kernels that read or update
 * rows work on a copy of just these rows inside; their cost follows the rows, not the table. Any other kernel on such a table runs
 * the definition in reference/.
 */
import type { Operand, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';

export const isOutside = (x: Operand): boolean => x.storage.handle instanceof Float32Array;

/** Kernels that name rows of their first inputs: how many tables, the place of the ids, and whether the tables are updated. */
const ROW_KERNELS: Partial<Record<KernelName, { tables: number; ids: number; updates: boolean }>> = {
  gatherRows: { tables: 1, ids: 1, updates: false },
  embeddingBag: { tables: 1, ids: 1, updates: false },
  adamwRows: { tables: 3, ids: 3, updates: true },
  adamwCatchUp: { tables: 3, ids: 3, updates: true },
};

/** What the staging needs of the backend. */
export interface Inside {
  /** Always in the WebAssembly memory, whatever the size. */
  allocate(dtype: 'f32' | 'i32', length: number): Storage;
  free(storage: Storage): void;
  /** A live view of a storage. */
  values(storage: Storage): Float32Array | Int32Array;
  run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]): void;
}

/** The rows of `ids` that are there, each once and rising, and for each id its place among them (negative ids stay). */
function compact(ids: Int32Array): { rows: Int32Array; places: Int32Array } {
  const place = new Map<number, number>();
  const rows = ids.filter((id) => id >= 0 && !place.has(id) && place.set(id, 0)).sort();
  rows.forEach((row, u) => {
    place.set(row, u);
  });
  return { rows, places: ids.map((id) => (id < 0 ? id : place.get(id)!)) };
}

/** Runs a row kernel on tables outside. @returns false if the kernel is none, and nothing was done */
export function runOutside<K extends KernelName>(
  inside: Inside,
  kernel: K,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: KernelAttrs[K],
): boolean {
  const form = ROW_KERNELS[kernel];
  if (!form || outs.some(isOutside)) return false;
  const C = ins[0].shape[1];
  const { rows, places } = compact(inside.values(ins[form.ids].storage) as Int32Array);
  const made: Storage[] = [];
  const put = (
    dtype: 'f32' | 'i32',
    shape: readonly number[],
    fill: (view: Float32Array | Int32Array) => void,
  ): Operand => {
    const storage = inside.allocate(
      dtype,
      shape.reduce((a, b) => a * b, 1),
    );
    made.push(storage);
    fill(inside.values(storage));
    return { storage, dtype, shape };
  };
  try {
    const staged = ins.map((x, i) => {
      if (i < form.tables) {
        const table = inside.values(x.storage);
        return put('f32', [rows.length, C], (view) => {
          rows.forEach((row, u) => {
            view.set(table.subarray(row * C, (row + 1) * C), u * C);
          });
        });
      }
      if (i === form.ids) return put('i32', x.shape, (view) => view.set(places));
      return isOutside(x) ? put('f32', x.shape, (view) => view.set(inside.values(x.storage))) : x;
    });
    inside.run(kernel, outs, staged, attrs);
    for (let i = 0; form.updates && i < form.tables; i++) {
      const table = inside.values(ins[i].storage);
      const view = inside.values(staged[i].storage);
      rows.forEach((row, u) => {
        table.set(view.subarray(u * C, (u + 1) * C), row * C);
      });
    }
  } finally {
    for (const storage of made) inside.free(storage);
  }
  return true;
}
