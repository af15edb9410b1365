/**
 * @file C = A B or C = C + A B for matrices of any layout, blocked after Goto & van de Geijn 2008.
 *
 * B is copied block by block into panels of 8 columns, so that the inner loop reads it in one stream; each panel of at most
 * 384 rows (12 KB) stays in the first-level cache while the rows of A pass by. A is copied into panels of 4 rows, unless its
 * rows are contiguous and so few columns are wanted that copying would not pay. Ragged edges run in the same inner loop, into
 * a spare tile. Where the engine makes 256-bit operations of pairs (`wide`), panels have 16 columns and 6 rows instead. An
 * element of C is the same sum in the same order either way: the bits do not depend on it.
 */
import { scratch, wide } from '../core/call';
import { packA, packB, panelColumns, panelRows, prefetchLines } from './pack';
import { tileFromPanel, tileFromRows } from './tile-4x8';
import { tile6x16 } from './tile-6x16';

/** Most rows of B in a block, which are the k of one panel. */
// @ts-ignore: decorator
@inline
export const KC = 384;

/** Most rows of A in a block: 198 KiB packed. A multiple of both panel heights, 4 and 6. */
// @ts-ignore: decorator
@inline
const MC = 132;

/** Most columns of B in a block: 768 KiB packed. A multiple of both panel widths, 8 and 16. */
// @ts-ignore: decorator
@inline
const NC = 512;

/** From this many columns on, contiguous rows of A are packed. */
// @ts-ignore: decorator
@inline
const PACK_COLUMNS = 64;

/** Places in the scratch: packed B at 0, then packed A, then the spare tile for edges. */
// @ts-ignore: decorator
@inline
const PACKED_A: usize = KC * NC * 4;

// @ts-ignore: decorator
@inline
const SPARE: usize = PACKED_A + KC * MC * 4;

/** The size of equal blocks of at most `most`, a multiple of `unit`. */
export function evenBlock(n: i32, most: i32, unit: i32): i32 {
  const blocks = (n + most - 1) / most;
  return min(most, ((n + blocks - 1) / blocks + unit - 1) / unit * unit);
}

/** Copies or adds the valid corner of a spare tile, whose rows are `fromRow` bytes apart, to C. */
export function copyCorner(from: usize, fromRow: usize, c: usize, cm: usize, rows: i32, columns: i32, add: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const at = c + (<usize>j << 2);
      const value = load<f32>(from + (<usize>j << 2));
      store<f32>(at, add ? load<f32>(at) + value : value);
    }
    from += fromRow;
    c += cm;
  }
}

/** C[0:M, 0:N] from one packed block of B; A is read in place (its k are neighbours). Panels of 8 columns. */
function blockFromRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, c: usize, cm: usize, add: bool): void {
  const spare = scratch() + SPARE;
  for (let j = 0; j < N; j += 8) {
    const panel = b + (<usize>(K * j) << 2);
    let a0 = a, at = c + (<usize>j << 2);
    for (let i = 0; i < M; i += 4) {
      const whole = i + 4 <= M && j + 8 <= N;
      // Rows beyond the last repeat it.
      const a1 = i + 1 < M ? a0 + am : a0;
      const a2 = i + 2 < M ? a1 + am : a1;
      const a3 = i + 3 < M ? a2 + am : a2;
      tileFromRows(K, a0, a1, a2, a3, 4, panel, 32, whole ? at : spare, whole ? cm : 32, whole && add);
      if (!whole) copyCorner(spare, 32, at, cm, min(4, M - i), min(8, N - j), add);
      a0 = a3 + am;
      at += cm << 2;
    }
  }
}

/** blockFromRows with A packed, in panels of either size. */
function blockFromPanels(M: i32, N: i32, K: i32, a: usize, b: usize, c: usize, cm: usize, add: bool): void {
  const spare = scratch() + SPARE;
  const rows = panelRows(), columns = panelColumns();
  const spareRow = <usize>columns << 2;
  const aPanel = <usize>(K * rows) << 2;
  for (let j = 0; j < N; j += columns) {
    const panel = b + (<usize>(K * j) << 2);
    let from = a, at = c + (<usize>j << 2);
    for (let i = 0; i < M; i += rows) {
      const whole = i + rows <= M && j + columns <= N;
      const to = whole ? at : spare;
      const toRow = whole ? cm : spareRow;
      if (wide) tile6x16(K, from, 24, panel, 64, to, toRow, whole && add);
      else tileFromPanel(K, from, 16, panel, 32, to, toRow, whole && add);
      if (!whole) copyCorner(spare, spareRow, at, cm, min(rows, M - i), min(columns, N - j), add);
      from += aPanel;
      at += rows * cm;
    }
  }
}

/**
 * C[i, j] = (add ? C[i, j] : 0) + sum over k of A[i, k] B[k, j]. Strides am, ak, bk, bn, cm are in bytes; the columns of C are
 * neighbours. Sums run in rising k within blocks of at most KC, and over the blocks in rising order, whatever M and N.
 */
export function gemm(M: i32, N: i32, K: i32, a: usize, am: usize, ak: usize, b: usize, bk: usize, bn: usize,
  c: usize, cm: usize, add: bool): void {
  if (M == 0 || N == 0) return;
  if (K == 0) {
    if (!add) for (let i = 0; i < M; i++) memory.fill(c + i * cm, 0, <usize>N << 2);
    return;
  }
  const packedB = scratch();
  const packedA = packedB + PACKED_A;
  const kBlock = evenBlock(K, KC, 4);
  const nBlock = evenBlock(N, NC, panelColumns());
  for (let j = 0; j < N; j += nBlock) {
    const n = min(nBlock, N - j);
    for (let l = 0; l < K; l += kBlock) {
      const k = min(kBlock, K - l);
      const accumulate = add || l > 0;
      packB(b + l * bk + j * bn, bk, bn, k, n, packedB);
      for (let i = 0; i < M; i += MC) {
        const m = min(MC, M - i);
        const from = a + i * am + l * ak;
        const to = c + i * cm + (<usize>j << 2);
        if (ak == 4 && n < PACK_COLUMNS && !wide) {
          blockFromRows(m, n, k, from, am, packedB, to, cm, accumulate);
        } else {
          // The other layout is prefetched while it is packed.
          if (ak == 4) prefetchLines(from, am, m, k);
          packA(from, am, ak, m, k, packedA);
          blockFromPanels(m, n, k, packedA, packedB, to, cm, accumulate);
        }
      }
    }
  }
}
