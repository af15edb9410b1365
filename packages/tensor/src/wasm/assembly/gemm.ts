/**
 * @file C = A B or C = C + A B for matrices of any layout, blocked after Goto & van de Geijn 2008.
 *
 * B is copied block by block into panels of 8 columns, so that the inner loop reads it in one stream; each panel of at most
 * 384 rows (12 KB) stays in the first-level cache while the rows of A pass by. A is copied into panels of 4 rows, unless its
 * rows are contiguous and so few columns are wanted that copying would not pay. Ragged edges run in the same inner loop, into
 * a spare tile. Where the engine makes 256-bit operations of pairs (`wide`), panels have 16 columns and 6 rows instead. An
 * element of C is the same sum in the same order either way: the bits do not depend on it.
 */
import { int, partBegin, pointer, scratch, takeUnit, wide } from './call';
import { tileFromPanel, tileFromRows } from './gemm-tile';
import { tile6x16 } from './gemm-tile-wide';
import { FEW_ROWS, fewRows, isNarrow, NARROW_STRIP } from './gemm-few-rows';
import { storeTransposed } from './simd';

// @ts-ignore: decorator
@inline
const KC = 384;
// @ts-ignore: decorator
@inline
const MC = 132;
// @ts-ignore: decorator
@inline
const NC = 512;
/** From this many columns on, contiguous rows of A are packed. */
// @ts-ignore: decorator
@inline
const PACK_COLUMNS = 64;
/** Packing takes this many rows at a time through all columns, so that memory is read nearly in order. */
const PACK_ROWS = 64;
/** Scratch: packed B, packed A, and the spare tile for edges. */
// @ts-ignore: decorator
@inline
const PACKED_A: usize = KC * NC * 4;
// @ts-ignore: decorator
@inline
const SPARE: usize = PACKED_A + KC * MC * 4;

/** Columns of a panel of B, and rows of a panel of A. */
// @ts-ignore: decorator
@inline
function panelColumns(): i32 {
  return wide ? 16 : 8;
}
// @ts-ignore: decorator
@inline
function panelRows(): i32 {
  return wide ? 6 : 4;
}

/** The size of equal blocks of at most `most`, a multiple of `unit`. */
function evenBlock(n: i32, most: i32, unit: i32): i32 {
  const blocks = (n + most - 1) / most;
  return min(most, ((n + blocks - 1) / blocks + unit - 1) / unit * unit);
}

/** Four rows of K values, each contiguous, to a panel whose step of k is `step` bytes. */
export function packFourRows(x0: usize, x1: usize, x2: usize, x3: usize, K: i32, to: usize, step: usize): void {
  let k = 0;
  for (; k + 4 <= K; k += 4) {
    storeTransposed(to, step, v128.load(x0), v128.load(x1), v128.load(x2), v128.load(x3));
    x0 += 16; x1 += 16; x2 += 16; x3 += 16;
    to += step * 4;
  }
  for (; k < K; k++) {
    store<f32>(to, load<f32>(x0));
    store<f32>(to, load<f32>(x1), 4);
    store<f32>(to, load<f32>(x2), 8);
    store<f32>(to, load<f32>(x3), 12);
    x0 += 4; x1 += 4; x2 += 4; x3 += 4;
    to += step;
  }
}

/** Six rows of K values, each contiguous, to a panel of 6. */
function packSixRows(x0: usize, x1: usize, x2: usize, x3: usize, x4: usize, x5: usize, K: i32, to: usize): void {
  let k = 0;
  for (; k + 4 <= K; k += 4) {
    const y0 = v128.load(x0), y1 = v128.load(x1), y2 = v128.load(x2), y3 = v128.load(x3), y4 = v128.load(x4), y5 = v128.load(x5);
    const s0 = v128.shuffle<f32>(y0, y1, 0, 4, 1, 5), s1 = v128.shuffle<f32>(y0, y1, 2, 6, 3, 7);
    const t0 = v128.shuffle<f32>(y2, y3, 0, 4, 1, 5), t1 = v128.shuffle<f32>(y2, y3, 2, 6, 3, 7);
    const u0 = v128.shuffle<f32>(y4, y5, 0, 4, 1, 5), u1 = v128.shuffle<f32>(y4, y5, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f64>(s0, t0, 0, 2));
    v128.store(to, v128.shuffle<f64>(u0, s0, 0, 3), 16);
    v128.store(to, v128.shuffle<f64>(t0, u0, 1, 3), 32);
    v128.store(to, v128.shuffle<f64>(s1, t1, 0, 2), 48);
    v128.store(to, v128.shuffle<f64>(u1, s1, 0, 3), 64);
    v128.store(to, v128.shuffle<f64>(t1, u1, 1, 3), 80);
    x0 += 16; x1 += 16; x2 += 16; x3 += 16; x4 += 16; x5 += 16;
    to += 96;
  }
  for (; k < K; k++) {
    store<f32>(to, load<f32>(x0));
    store<f32>(to, load<f32>(x1), 4);
    store<f32>(to, load<f32>(x2), 8);
    store<f32>(to, load<f32>(x3), 12);
    store<f32>(to, load<f32>(x4), 16);
    store<f32>(to, load<f32>(x5), 20);
    x0 += 4; x1 += 4; x2 += 4; x3 += 4; x4 += 4; x5 += 4;
    to += 24;
  }
}

/**
 * B[0:K, 0:N] to panels [N/columns][K][columns]; bk and bn are the byte strides. What stands beyond column N in the last panel
 * is of no consequence: those columns of the result are dropped.
 */
function packB(b: usize, bk: usize, bn: usize, K: i32, N: i32, to: usize): void {
  const columns = panelColumns();
  const step = <usize>columns << 2;
  const panel = <usize>K * step;
  if (bn == 4) {
    const half = wide ? <usize>32 : panel, next = wide ? panel : panel << 1;
    for (let k = 0; k < K; k += PACK_ROWS) {
      let from = b + k * bk, at = to + <usize>k * step;
      const rows = min(PACK_ROWS, K - k);
      touch(from, bk, rows, N);
      for (let j = 0; j < N; j += 16) {
        if (wide && N - j > 8) packWholeLines(from, bk, rows, at);
        else packLines(from, bk, rows, at, step, 16, half, N - j > 8 ? 4 : 2);
        from += 64;
        at += next;
      }
    }
    return;
  }
  for (let j = 0; j < N; j += 4) {
    const at = to + (j / columns) * panel + (<usize>(j % columns) << 2);
    const x0 = b + j * bn;
    const x1 = b + min(j + 1, N - 1) * bn;
    const x2 = b + min(j + 2, N - 1) * bn;
    const x3 = b + min(j + 3, N - 1) * bn;
    if (bk == 4) packFourRows(x0, x1, x2, x3, K, at, step);
    else packScattered(x0, x1, x2, x3, bk, K, at, step);
  }
}

/**
 * Rows of 16 neighbouring values, a cache line, `row` bytes apart, to panels whose step is `step`: the second four go `quarter`
 * bytes after the first, the third `half`, the last both. Only the first `count` fours exist.
 */
// @ts-ignore: decorator
@inline
function packLines(from: usize, row: usize, rows: i32, to: usize, step: usize, quarter: usize, half: usize, count: i32): void {
  for (const end = from + rows * row; from != end; from += row) {
    v128.store(to, v128.load(from));
    if (count > 1) v128.store(to + quarter, v128.load(from, 16));
    if (count > 2) v128.store(to + half, v128.load(from, 32));
    if (count > 3) v128.store(to + half + quarter, v128.load(from, 48));
    to += step;
  }
}

/** Rows of 16 neighbouring values to one panel of 16. */
function packWholeLines(from: usize, row: usize, rows: i32, to: usize): void {
  for (const end = to + (<usize>rows << 6); to != end; to += 64) {
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    v128.store(to, x0);
    v128.store(to, x1, 16);
    v128.store(to, x2, 32);
    v128.store(to, x3, 48);
    from += row;
  }
}

/** Two rows of K values, `xk` bytes apart, to lanes of a panel whose step of k is `step` bytes. */
function packTwoScattered(x0: usize, x1: usize, xk: usize, K: i32, to: usize, step: usize): void {
  for (let k = 0; k < K; k++) {
    store<f32>(to, load<f32>(x0));
    store<f32>(to, load<f32>(x1), 4);
    x0 += xk; x1 += xk;
    to += step;
  }
}

/** packFourRows for rows whose values are `xk` bytes apart. */
function packScattered(x0: usize, x1: usize, x2: usize, x3: usize, xk: usize, K: i32, to: usize, step: usize): void {
  for (let k = 0; k < K; k++) {
    store<f32>(to, load<f32>(x0));
    store<f32>(to, load<f32>(x1), 4);
    store<f32>(to, load<f32>(x2), 8);
    store<f32>(to, load<f32>(x3), 12);
    x0 += xk; x1 += xk; x2 += xk; x3 += xk;
    to += step;
  }
}

/** A[0:M, 0:K] to panels [M/rows][K][rows]; am and ak are the byte strides. Rows beyond M are of no consequence. */
function packA(a: usize, am: usize, ak: usize, M: i32, K: i32, to: usize): void {
  if (am == 4) {
    if (wide) packSixColumns(a, ak, M, K, to);
    else packFourColumns(a, ak, M, K, to);
    return;
  }
  const rows = panelRows();
  const step = <usize>rows << 2;
  for (let i = 0; i < M; i += rows) {
    const x0 = a + i * am;
    const x1 = a + min(i + 1, M - 1) * am;
    const x2 = a + min(i + 2, M - 1) * am;
    const x3 = a + min(i + 3, M - 1) * am;
    const x4 = a + min(i + 4, M - 1) * am;
    const x5 = a + min(i + 5, M - 1) * am;
    if (ak == 4) {
      if (wide) packSixRows(x0, x1, x2, x3, x4, x5, K, to);
      else packFourRows(x0, x1, x2, x3, K, to, step);
    } else {
      packScattered(x0, x1, x2, x3, ak, K, to, step);
      if (wide) packTwoScattered(x4, x5, ak, K, to + 16, step);
    }
    to += <usize>K * step;
  }
}

/**
 * Reads a word of each cache line of the rows, in the order of memory, which is what the processor reads ahead of; and the misses
 * overlap, where work on row after row would wait for each.
 */
export function touch(x: usize, row: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < <usize>columns << 2; j += 64) load<i32>(x + j);
    x += row;
  }
}

/** packA where the values of a column are neighbours: a line of 16 goes to four panels of 4. */
function packFourColumns(a: usize, ak: usize, M: i32, K: i32, to: usize): void {
  const panel = <usize>K << 4;
  for (let k = 0; k < K; k += PACK_ROWS) {
    let from = a + k * ak, at = to + (<usize>k << 4);
    const steps = min(PACK_ROWS, K - k);
    touch(from, ak, steps, M);
    for (let i = 0; i < M; i += 16) {
      packLines(from, ak, steps, at, 16, panel, panel << 1, (M - i + 3) >> 2);
      from += 64;
      at += panel << 2;
    }
  }
}

/** The same to panels of 6. */
function packSixColumns(a: usize, ak: usize, M: i32, K: i32, to: usize): void {
  const panel = <usize>K * 24;
  for (let k = 0; k < K; k += PACK_ROWS) {
    const end = a + min(k + PACK_ROWS, K) * ak;
    touch(a + k * ak, ak, min(PACK_ROWS, K - k), M);
    let at = to + <usize>k * 24;
    for (let i = 0; i < M; i += 6) {
      let put = at;
      let from = a + k * ak + (<usize>i << 2);
      const last = end + (<usize>i << 2);
      if (M - i >= 8) {
        // Eight at a time, of which the next row aliases two.
        for (const eight = last - ak; from != eight; from += ak) {
          const x0 = v128.load(from), x1 = v128.load(from, 16);
          v128.store(put, x0);
          v128.store(put, x1, 16);
          put += 24;
        }
      }
      for (; from != last; from += ak) {
        v128.store(put, v128.load(from));
        if (M - i > 4) store<u64>(put, load<u64>(from, 16), 16);
        put += 24;
      }
      at += panel;
    }
  }
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
      tileFromRows(K, a0, a1, a2, a3, panel, 32, whole ? at : spare, whole ? cm : 32, whole && add);
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
          // Columns are touched as they are packed.
          if (ak == 4) touch(from, am, m, k);
          packA(from, am, ak, m, k, packedA);
          blockFromPanels(m, n, k, packedA, packedB, to, cm, accumulate);
        }
      }
    }
  }
}

/** Below this many elements of the result a piece of a product is not worth packing its rows and columns for. */
const LEAST_PIECE = 131072;

/**
 * Into how many rows of pieces to cut a product that gets `pieces` of them: the number that leaves each piece least to pack,
 * which is M/rows + N/columns for every k.
 */
function rowsOfPieces(M: i32, N: i32, pieces: i32): i32 {
  let best = 1;
  for (let rows = 2; rows <= pieces; rows++) {
    if (pieces % rows == 0 && cost(M, N, rows, pieces / rows) < cost(M, N, best, pieces / best)) best = rows;
  }
  return best;
}

// @ts-ignore: decorator
@inline
function cost(M: i32, N: i32, rows: i32, columns: i32): i32 {
  return (M + rows - 1) / rows + (N + columns - 1) / columns;
}

/**
 * Kernel: a batch of products. Arguments: a, b, c; M, N, K; am, ak, bk, bn, cm in bytes; add; batches and the byte steps
 * from one matrix to the next of a, b, c. Threads take pieces of C, each with its whole sum over k.
 */
export function matmul(part: i32, parts: i32): void {
  const M = int(3), N = int(4), K = int(5);
  const am = pointer(6), ak = pointer(7), bk = pointer(8), bn = pointer(9), cm = pointer(10);
  const add = int(11) != 0;
  const batches = int(12);
  const few = M <= FEW_ROWS && ak == 4 && (bk == 4 || bn == 4);
  // At least a piece for each thread, and up to two where pieces stay large, for threads are not equally fast; but each piece
  // packs rows or columns that others pack too.
  const least = (parts + batches - 1) / batches;
  const pieces = parts == 1 ? 1 : least * max(1, min(2, <i32>((<i64>M * N) / LEAST_PIECE) / least));
  const rows = few ? 1 : rowsOfPieces(M, N, pieces);
  const narrow = isNarrow(N);
  const grain = few && bn == 4 && narrow ? NARROW_STRIP : panelColumns();
  const columns = pieces / rows;
  for (let unit = takeUnit(); unit < batches * pieces; unit = takeUnit()) {
    const batch = unit / pieces;
    const piece = unit - batch * pieces;
    const row = piece / columns;
    const column = piece - row * columns;
    const i = partBegin(M, panelRows(), row, rows), j = partBegin(N, grain, column, columns);
    const m = partBegin(M, panelRows(), row + 1, rows) - i, n = partBegin(N, grain, column + 1, columns) - j;
    const a = pointer(0) + batch * pointer(13) + i * am;
    const b = pointer(1) + batch * pointer(14) + j * bn;
    const c = pointer(2) + batch * pointer(15) + i * cm + (<usize>j << 2);
    if (few) fewRows(m, n, K, a, am, b, bk, bn, c, cm, add, narrow);
    else gemm(m, n, K, a, am, ak, b, bk, bn, c, cm, add);
  }
}
