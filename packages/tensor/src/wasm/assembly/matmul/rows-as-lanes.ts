/**
 * @file Products of some rows of A with a B whose columns are contiguous, as of weights in decoding several texts. The rows of A become
 * the lanes: they are copied into panels, and B is read where it lies. gemm.ts copies B instead, which takes longer than the product
 * where few rows meet it. An element is the same sum in the same order in both.
 */
import { scratch, wide } from '../core/call';
import { storeTail, storeTransposed } from '../core/simd';
import { KC, evenBlock } from './gemm';
import { packB, panelColumns } from './pack';
import { tileFromRows } from './tile-4x8';
import { tile4x16FromRows } from './tile-6x16';

/** Up to this many rows of A they become the lanes. */
export const MOST_LANES = 64;

/** Places in the scratch: panels at 0, then a tile, then four of its columns as rows. */
const TILE: usize = KC * MOST_LANES * 4;
const TURNED: usize = TILE + 256;

/** The columns of a tile of 4 rows, `fromRow` bytes apart, as `rows` rows of C with `columns` values each, written or added. */
function turnTile(from: usize, fromRow: usize, c: usize, cm: usize, rows: i32, columns: i32, add: bool): void {
  const turned = scratch() + TURNED;
  for (; rows > 0; rows -= 4) {
    const x0 = v128.load(from), x1 = v128.load(from + fromRow);
    const x2 = v128.load(from + fromRow * 2), x3 = v128.load(from + fromRow * 3);
    if (!add && rows >= 4 && columns == 4) storeTransposed(c, cm, x0, x1, x2, x3);
    else {
      storeTransposed(turned, 16, x0, x1, x2, x3);
      for (let i = 0; i < min(rows, 4); i++) {
        const at = c + i * cm;
        let y = v128.load(turned + (<usize>i << 4));
        if (add) y = f32x4.add(v128.load(at), y);
        if (columns == 4) v128.store(at, y);
        else storeTail(at, y, columns);
      }
    }
    from += 16;
    c += cm << 2;
  }
}

/** C = A B or C = C + A B for at most MOST_LANES contiguous rows of A, columns of B contiguous and `bn` bytes apart. */
export function rowsAsLanes(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bn: usize, c: usize, cm: usize, add: bool): void {
  const panels = scratch(), tile = panels + TILE;
  const lanes = panelColumns();
  const row = <usize>lanes << 2;
  const kBlock = evenBlock(K, KC, 4);
  for (let l = 0; l < K; l += kBlock) {
    const k = min(kBlock, K - l);
    const accumulate = add || l > 0;
    packB(a + (<usize>l << 2), 4, am, k, M, panels);
    for (let j = 0; j < N; j += 4) {
      // Columns beyond the last repeat it.
      const b0 = b + (<usize>l << 2) + j * bn;
      const b1 = j + 1 < N ? b0 + bn : b0, b2 = j + 2 < N ? b1 + bn : b1, b3 = j + 3 < N ? b2 + bn : b2;
      for (let i = 0; i < M; i += lanes) {
        const panel = panels + (<usize>(k * i) << 2);
        if (wide && M - i > 8) tile4x16FromRows(k, b0, b1, b2, b3, 4, panel, row, tile, row, false);
        else tileFromRows(k, b0, b1, b2, b3, 4, panel, row, tile, row, false);
        turnTile(tile, row, c + i * cm + (<usize>j << 2), cm, min(lanes, M - i), min(4, N - j), accumulate);
      }
    }
  }
}
