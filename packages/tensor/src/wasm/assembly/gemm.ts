/**
 * @file C = A B or C = C + A B for matrices of any layout, blocked after Goto & van de Geijn 2008.
 *
 * B is copied block by block into panels of 8 columns, so that the inner loop reads it in one stream; each panel of at most
 * 384 rows (12 KB) stays in the first-level cache while the rows of A pass by. A is copied into panels of 4 rows, unless its
 * rows are contiguous and so few columns are wanted that copying would not pay. Ragged edges run in the same inner loop, into
 * a spare tile.
 */
import { int, partBegin, pointer, scratch, takeUnit } from './call';
import { tileFromPanel, tileFromRows } from './gemm-tile';
import { FEW_ROWS, fewRows } from './gemm-few-rows';
import { storeTransposed } from './simd';

// @ts-ignore: decorator
@inline
const KC = 384;
// @ts-ignore: decorator
@inline
const MC = 128;
// @ts-ignore: decorator
@inline
const NC = 512;
/** From this many columns on, contiguous rows of A are packed. */
// @ts-ignore: decorator
@inline
const PACK_COLUMNS = 64;
/** Packing takes this many rows at a time through all columns, so that memory is read nearly in order. */
const PACK_ROWS = 32;
/** Scratch: packed B, packed A, and the spare tile for edges. */
// @ts-ignore: decorator
@inline
const PACKED_A: usize = KC * NC * 4;
// @ts-ignore: decorator
@inline
const SPARE: usize = PACKED_A + KC * MC * 4;

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

/**
 * B[0:K, 0:N] to panels [N/8][K][8]; bk and bn are the byte strides. What stands beyond column N in the last panel is of no
 * consequence: those columns of the result are dropped.
 */
function packB(b: usize, bk: usize, bn: usize, K: i32, N: i32, to: usize): void {
  const panel = <usize>K << 5;
  if (bn == 4) {
    for (let k = 0; k < K; k += PACK_ROWS) {
      let from = b + k * bk, at = to + (<usize>k << 5);
      const rows = min(PACK_ROWS, K - k);
      for (let j = 0; j < N; j += 16) {
        packLines(from, bk, rows, at, 32, panel, N - j > 8 ? 2 : 1);
        from += 64;
        at += panel << 1;
      }
    }
    return;
  }
  for (let j = 0; j < N; j += 4) {
    const at = to + (j >> 3) * panel + (<usize>(j & 4) << 2);
    const x0 = b + j * bn;
    const x1 = b + min(j + 1, N - 1) * bn;
    const x2 = b + min(j + 2, N - 1) * bn;
    const x3 = b + min(j + 3, N - 1) * bn;
    if (bk == 4) packFourRows(x0, x1, x2, x3, K, at, 32);
    else packScattered(x0, x1, x2, x3, bk, K, at, 32);
  }
}

/**
 * Rows of 16 neighbouring values, a cache line, `row` bytes apart, to neighbouring panels: two of 8 columns (step 32) or four
 * of 4 (step 16), of which the first `count` exist.
 */
// @ts-ignore: decorator
@inline
function packLines(from: usize, row: usize, rows: i32, to: usize, step: usize, panel: usize, count: i32): void {
  const quarter = step == 32 ? <usize>16 : panel;
  const half = step == 32 ? panel : panel << 1;
  for (const end = from + rows * row; from != end; from += row) {
    v128.store(to, v128.load(from));
    if (step == 32 || count > 1) v128.store(to + quarter, v128.load(from, 16));
    if (step == 32 ? count > 1 : count > 2) v128.store(to + half, v128.load(from, 32));
    if (step == 32 ? count > 1 : count > 3) v128.store(to + half + quarter, v128.load(from, 48));
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

/** A[0:M, 0:K] to panels [M/4][K][4]; am and ak are the byte strides. Rows beyond M are of no consequence. */
function packA(a: usize, am: usize, ak: usize, M: i32, K: i32, to: usize): void {
  const panel = <usize>K << 4;
  if (am == 4) {
    for (let k = 0; k < K; k += PACK_ROWS) {
      let from = a + k * ak, at = to + (<usize>k << 4);
      const rows = min(PACK_ROWS, K - k);
      for (let i = 0; i < M; i += 16) {
        packLines(from, ak, rows, at, 16, panel, (M - i + 3) >> 2);
        from += 64;
        at += panel << 2;
      }
    }
    return;
  }
  for (let i = 0; i < M; i += 4) {
    const x0 = a + i * am;
    const x1 = a + min(i + 1, M - 1) * am;
    const x2 = a + min(i + 2, M - 1) * am;
    const x3 = a + min(i + 3, M - 1) * am;
    if (ak == 4) packFourRows(x0, x1, x2, x3, K, to, 16);
    else packScattered(x0, x1, x2, x3, ak, K, to, 16);
    to += panel;
  }
}

/** Copies or adds the valid corner of the spare tile to C. */
export function copyCorner(from: usize, c: usize, cm: usize, rows: i32, columns: i32, add: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const at = c + (<usize>j << 2);
      const value = load<f32>(from + (<usize>j << 2));
      store<f32>(at, add ? load<f32>(at) + value : value);
    }
    from += 32;
    c += cm;
  }
}

/** C[0:M, 0:N] from one packed block of B; A is read in place (its k are neighbours). */
function blockFromRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, c: usize, cm: usize, add: bool): void {
  const whole = M & ~3;
  for (let j = 0; j < N; j += 8) {
    const panel = b + (<usize>(K * j) << 2);
    let a0 = a, at = c + (<usize>j << 2);
    let i = 0;
    if (j + 8 <= N) {
      for (; i < whole; i += 4) {
        const a1 = a0 + am, a2 = a1 + am, a3 = a2 + am;
        tileFromRows(K, a0, a1, a2, a3, panel, 32, at, cm, add);
        a0 = a3 + am;
        at += cm << 2;
      }
    }
    for (; i < M; i += 4) edgeFromRows(min(4, M - i), min(8, N - j), K, a + i * am, am, panel, c + i * cm + (<usize>j << 2), cm, add);
  }
}

/** A tile that C does not hold whole. Rows beyond the last repeat it. */
function edgeFromRows(rows: i32, columns: i32, K: i32, a: usize, am: usize, b: usize, c: usize, cm: usize, add: bool): void {
  const spare = scratch() + SPARE;
  const a1 = rows > 1 ? a + am : a;
  const a2 = rows > 2 ? a1 + am : a1;
  const a3 = rows > 3 ? a2 + am : a2;
  tileFromRows(K, a, a1, a2, a3, b, 32, spare, 32, false);
  copyCorner(spare, c, cm, rows, columns, add);
}

/** blockFromRows with A packed. */
function blockFromPanels(M: i32, N: i32, K: i32, a: usize, b: usize, c: usize, cm: usize, add: bool): void {
  const spare = scratch() + SPARE;
  const whole = M & ~3;
  const aPanel = <usize>K << 4;
  for (let j = 0; j < N; j += 8) {
    const panel = b + (<usize>(K * j) << 2);
    let from = a, at = c + (<usize>j << 2);
    let i = 0;
    if (j + 8 <= N) {
      for (; i < whole; i += 4) {
        tileFromPanel(K, from, 16, panel, 32, at, cm, add);
        from += aPanel;
        at += cm << 2;
      }
    }
    for (; i < M; i += 4) {
      tileFromPanel(K, from, 16, panel, 32, spare, 32, false);
      copyCorner(spare, at, cm, min(4, M - i), min(8, N - j), add);
      from += aPanel;
      at += cm << 2;
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
  const nBlock = evenBlock(N, NC, 8);
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
        if (ak == 4 && n < PACK_COLUMNS) {
          blockFromRows(m, n, k, from, am, packedB, to, cm, accumulate);
        } else {
          packA(from, am, ak, m, k, packedA);
          blockFromPanels(m, n, k, packedA, packedB, to, cm, accumulate);
        }
      }
    }
  }
}

/** Below this many elements of the result a piece of a product is not worth packing its rows and columns for. */
const LEAST_PIECE = 32768;

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
  // At least a piece for each thread, and up to four where pieces stay large, for threads are not equally fast.
  const least = (parts + batches - 1) / batches;
  const pieces = parts == 1 ? 1 : least * max(1, min(4, <i32>((<i64>M * N) / LEAST_PIECE) / least));
  const rows = few ? 1 : rowsOfPieces(M, N, pieces);
  const columns = pieces / rows;
  for (let unit = takeUnit(); unit < batches * pieces; unit = takeUnit()) {
    const batch = unit / pieces;
    const piece = unit - batch * pieces;
    const row = piece / columns;
    const column = piece - row * columns;
    const i = partBegin(M, 4, row, rows), j = partBegin(N, 8, column, columns);
    const m = partBegin(M, 4, row + 1, rows) - i, n = partBegin(N, 8, column + 1, columns) - j;
    const a = pointer(0) + batch * pointer(13) + i * am;
    const b = pointer(1) + batch * pointer(14) + j * bn;
    const c = pointer(2) + batch * pointer(15) + i * cm + (<usize>j << 2);
    if (few) fewRows(m, n, K, a, am, b, bk, bn, c, cm, add);
    else gemm(m, n, K, a, am, ak, b, bk, bn, c, cm, add);
  }
}
