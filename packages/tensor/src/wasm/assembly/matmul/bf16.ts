/**
 * @file Products of few rows of A with a matrix whose values are kept as BF16, the upper halves of floats: a product of few rows takes
 * as long as its matrix takes to arrive, and this one is half as long. Sums are of floats, as everywhere.
 */
import * as args from '../../arguments/matmul';
import { int, partBegin, pointer, scratch } from '../core/call';
import { storeTransposed } from '../core/simd';
import { PANEL, rowsTimesPanel } from './few-rows';
import { blockOfK } from './gemm';

/** The first four of eight values, and the last four. */
// @ts-ignore: decorator
@inline
function lowFour(words: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), words, 0, 8, 0, 9, 0, 10, 0, 11);
}

// @ts-ignore: decorator
@inline
function highFour(words: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), words, 0, 12, 0, 13, 0, 14, 0, 15);
}

/** n values (a multiple of 8) become floats. */
function widen(to: usize, from: usize, n: i32): void {
  for (const end = to + (<usize>n << 2); to < end; to += 32) {
    const words = v128.load(from);
    v128.store(to, lowFour(words));
    v128.store(to, highFour(words), 16);
    from += 16;
  }
}

/** Kernel. Arguments: y, x, n (a multiple of 8). */
export function widenBf16(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = partBegin(n, 1024, part, parts);
  const count = partBegin(n, 1024, part + 1, parts) - begin;
  widen(pointer(args.y) + (<usize>begin << 2), pointer(args.x) + (<usize>begin << 1), count);
}

/** packFourRows for rows of BF16; it may write and read up to four k beyond the last. */
function packFourBf16(x0: usize, x1: usize, x2: usize, x3: usize, K: i32, to: usize, step: usize): void {
  for (let k = 0; k < K; k += 8) {
    const w0 = v128.load(x0), w1 = v128.load(x1), w2 = v128.load(x2), w3 = v128.load(x3);
    storeTransposed(to, step, lowFour(w0), lowFour(w1), lowFour(w2), lowFour(w3));
    storeTransposed(to + step * 4, step, highFour(w0), highFour(w1), highFour(w2), highFour(w3));
    x0 += 16; x1 += 16; x2 += 16; x3 += 16;
    to += step * 8;
  }
}

/** packColumns for a matrix of BF16. */
function packColumnsBf16(to: usize, b: usize, bn: usize, j: i32, N: i32, K: i32): void {
  for (let q = 0; q < PANEL; q += 4) {
    packFourBf16(b + min(j + q, N - 1) * bn, b + min(j + q + 1, N - 1) * bn, b + min(j + q + 2, N - 1) * bn,
      b + min(j + q + 3, N - 1) * bn, K, to + (<usize>q << 2), PANEL * 4);
  }
}

/**
 * Kernel: C [M, N] = A B^T, an element the same sum in the same order as of a B that is floats. Threads take columns of C.
 * Arguments: a [M, K] floats, b [N, K] BF16, c, M, N, K (a multiple of 8). Scratch: see few-rows.ts.
 */
export function matmulBf16(part: i32, parts: i32): void {
  const M = int(args.M), N = int(args.N), K = int(args.K);
  const end = partBegin(N, PANEL, part + 1, parts);
  const kBlock = blockOfK(K);
  const aRow = <usize>K << 2, bRow = <usize>K << 1, cRow = <usize>N << 2;
  for (let j = partBegin(N, PANEL, part, parts); j < end; j += PANEL) {
    for (let l = 0; l < K; l += kBlock) {
      const k = min(kBlock, K - l);
      packColumnsBf16(scratch(), pointer(args.b) + (<usize>l << 1), bRow, j, N, k);
      rowsTimesPanel(M, k, pointer(args.a) + (<usize>l << 2), aRow, scratch(), pointer(args.c) + (<usize>j << 2), cRow, N - j, l > 0);
    }
  }
}
