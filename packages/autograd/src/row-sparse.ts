import { type Shape, type Tensor, tensor } from '@blt-ts/tensor';
import { scatterAddRows, segmentGatherSum } from './ops/rows.ts';
import { concat } from './ops/shape.ts';

/** Gradient rows [n,C]; entry e of `ids` (groups entries a row, negative ones dropped) says where row floor(e / groups) is added. */
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

  /** The rows touched, each once and rising, with their summed gradients [U,C]. The order of summation is that of the ids. */
  coalesce(): { ids: Int32Array; rows: Tensor } {
    const { rows, entries, entryIds } = this.flatten();
    const order = Uint32Array.from(entryIds.keys()).sort((x, y) => entryIds[x] - entryIds[y] || x - y);
    const unique: number[] = [];
    const starts: number[] = [];
    const sorted = new Int32Array(order.length);
    for (let i = 0; i < order.length; i++) {
      const id = entryIds[order[i]];
      sorted[i] = entries[order[i]];
      if (unique.length === 0 || unique[unique.length - 1] !== id) {
        unique.push(id);
        starts.push(i);
      }
    }
    starts.push(order.length);
    return {
      ids: Int32Array.from(unique),
      rows: segmentGatherSum(
        rows,
        tensor(sorted, undefined, { backend: rows.backend }),
        tensor(Int32Array.from(starts), undefined, { backend: rows.backend }),
      ),
    };
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
