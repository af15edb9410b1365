/** @file Sparse gradients of tables: only the rows that were read. */
import { type Shape, type Tensor, tensor } from '@blt-ts/tensor';
import { scatterAddRows, segmentGatherSum } from './ops/rows.ts';
import { concat } from './ops/shape.ts';

/** The gradient of the result with respect to some tensor: dense, or only the rows of a table that were read. */
export type Cotangent = Tensor | RowSparse;

/**
 * Gradient rows [n,C], and the table rows they are added to: row i belongs to ids[i * groups .. i * groups + groups - 1]. Negative ids
 * are dropped.
 */
interface Part {
  readonly ids: Int32Array;
  readonly groups: number;
  readonly rows: Tensor;
}

/**
 * The gradient of a table [V,C] of which a step reads few rows: only those rows, so that its cost does not follow V.
 * Mathematically a [V,C] tensor that is zero elsewhere.
 */
export class RowSparse {
  readonly shape: Shape;
  readonly parts: readonly Part[];

  constructor(shape: Shape, parts: readonly Part[]) {
    this.shape = shape;
    this.parts = parts;
  }

  /** The sum of two gradients of the same table. */
  plus(other: RowSparse): RowSparse {
    return new RowSparse(this.shape, [...this.parts, ...other.parts]);
  }

  /** The table rows that were read, each once and rising, with their summed gradients [U,C]. They are summed in the order of the ids. */
  coalesce(): { ids: Int32Array; rows: Tensor } {
    const { rows, entries, entryIds } = this.flatten();
    const n = entryIds.length;
    // Sorted as numbers id * scale + place. The scale is a power of two, so both are recovered exactly.
    const scale = 2 ** Math.ceil(Math.log2(Math.max(n, 1)));
    const order = new Float64Array(n);
    for (let i = 0; i < n; i++) order[i] = entryIds[i] * scale + i;
    order.sort();
    const ids = new Int32Array(n);
    const starts = new Int32Array(n + 1);
    const sorted = new Int32Array(n);
    let unique = 0;
    for (let i = 0; i < n; i++) {
      const id = Math.floor(order[i] / scale);
      sorted[i] = entries[order[i] - id * scale];
      if (unique > 0 && ids[unique - 1] === id) continue;
      ids[unique] = id;
      starts[unique++] = i;
    }
    starts[unique] = n;
    const [entry, start] = [sorted, starts.subarray(0, unique + 1)].map((x) =>
      tensor(x, undefined, { backend: rows.backend }),
    );
    return { ids: ids.slice(0, unique), rows: segmentGatherSum(rows, entry, start) };
  }

  /** The whole [V,C] tensor. */
  toDense(): Tensor {
    const { ids, rows } = this.coalesce();
    return scatterAddRows(rows, tensor(ids, undefined, { backend: rows.backend }), this.shape[0]);
  }

  /** All parts as one: rows [n,C], and for each kept entry its row and its id. */
  private flatten(): { rows: Tensor; entries: Int32Array; entryIds: Int32Array } {
    const rows = this.parts.length === 1 ? this.parts[0].rows : concat(this.parts.map((p) => p.rows));
    const total = this.parts.reduce((n, p) => n + p.ids.length, 0);
    const entries = new Int32Array(total);
    const entryIds = new Int32Array(total);
    let count = 0;
    let offset = 0;
    for (const part of this.parts) {
      for (let e = 0; e < part.ids.length; e++) {
        if (part.ids[e] < 0) continue;
        entries[count] = offset + Math.floor(e / part.groups);
        entryIds[count++] = part.ids[e];
      }
      offset += part.rows.shape[0];
    }
    return { rows, entries: entries.subarray(0, count), entryIds: entryIds.subarray(0, count) };
  }
}
