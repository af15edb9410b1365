/**
 * @file Copying blocks of A and B into panels, which the inner loop reads in one stream: panels of 4 rows of A and 8 columns of B, or
 * of 6 and 16 where the engine makes 256-bit operations of pairs (`wide`).
 */
import { wide } from '../core/call';
import { storeTransposed } from '../core/simd';

/** Packing takes this many rows at a time through all columns, so that memory is read nearly in order. */
const PACK_ROWS = 64;

/** Columns of a panel of B. */
// @ts-ignore: decorator
@inline
export function panelColumns(): i32 {
  return wide ? 16 : 8;
}

/** Rows of a panel of A. */
// @ts-ignore: decorator
@inline
export function panelRows(): i32 {
  return wide ? 6 : 4;
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
export function packB(b: usize, bk: usize, bn: usize, K: i32, N: i32, to: usize): void {
  const columns = panelColumns();
  const step = <usize>columns << 2;
  const panel = <usize>K * step;
  if (bn == 4) {
    const half = wide ? <usize>32 : panel, next = wide ? panel : panel << 1;
    for (let k = 0; k < K; k += PACK_ROWS) {
      let from = b + k * bk, at = to + <usize>k * step;
      const rows = min(PACK_ROWS, K - k);
      prefetchLines(from, bk, rows, N);
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
export function packA(a: usize, am: usize, ak: usize, M: i32, K: i32, to: usize): void {
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
export function prefetchLines(x: usize, row: usize, rows: i32, columns: i32): void {
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
    prefetchLines(from, ak, steps, M);
    for (let i = 0; i < M; i += 16) {
      packLines(from, ak, steps, at, 16, panel, panel << 1, (M - i + 3) >> 2);
      from += 64;
      at += panel << 2;
    }
  }
}

/** packA to panels of 6, where the values of a column are neighbours. */
function packSixColumns(a: usize, ak: usize, M: i32, K: i32, to: usize): void {
  const panel = <usize>K * 24;
  for (let k = 0; k < K; k += PACK_ROWS) {
    const end = a + min(k + PACK_ROWS, K) * ak;
    prefetchLines(a + k * ak, ak, min(PACK_ROWS, K - k), M);
    let at = to + <usize>k * 24;
    for (let i = 0; i < M; i += 6) {
      let put = at;
      let from = a + k * ak + (<usize>i << 2);
      const last = end + (<usize>i << 2);
      if (M - i >= 8) {
        // Eight at a time, of which the next row overwrites two.
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
