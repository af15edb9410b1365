/** @file The kernel `matmul`: a batch of products, cut into pieces for the threads. */
import * as args from '../../arguments/matmul';
import { int, partBegin, pointer, takeUnit } from '../core/call';
import { MOST_ROWS, columnsAsLanes } from './columns-as-lanes';
import { FEW_ROWS, fewRows } from './few-rows';
import { gemm } from './gemm';
import { panelColumns, panelRows } from './pack';
import { MOST_LANES, rowsAsLanes } from './rows-as-lanes';

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
  const M = int(args.M), N = int(args.N), K = int(args.K);
  const am = pointer(args.am), ak = pointer(args.ak), bk = pointer(args.bk), bn = pointer(args.bn), cm = pointer(args.cm);
  const add = int(args.add) != 0;
  const batches = int(args.batches);
  const few = int(args.fewRows) != 0 && M <= FEW_ROWS && ak == 4 && (bk == 4 || bn == 4);
  const lanes = !few && M <= MOST_LANES && K > 0 && ak == 4 && bk == 4;
  // At least a piece for each thread, and up to two where pieces stay large, for threads are not equally fast; but each piece
  // packs rows or columns that others pack too.
  const least = (parts + batches - 1) / batches;
  const pieces = parts == 1 ? 1 : least * max(1, min(2, <i32>((<i64>M * N) / LEAST_PIECE) / least));
  const rows = few || lanes ? 1 : rowsOfPieces(M, N, pieces);
  const columns = pieces / rows;
  for (let unit = takeUnit(); unit < batches * pieces; unit = takeUnit()) {
    const batch = unit / pieces;
    const piece = unit - batch * pieces;
    const row = piece / columns;
    const column = piece - row * columns;
    const i = partBegin(M, panelRows(), row, rows), j = partBegin(N, panelColumns(), column, columns);
    const m = partBegin(M, panelRows(), row + 1, rows) - i, n = partBegin(N, panelColumns(), column + 1, columns) - j;
    const a = pointer(args.a) + batch * pointer(args.aStep) + i * am;
    const b = pointer(args.b) + batch * pointer(args.bStep) + j * bn;
    const c = pointer(args.c) + batch * pointer(args.cStep) + i * cm + (<usize>j << 2);
    if (few) fewRows(m, n, K, a, am, b, bk, bn, c, cm, add);
    else if (lanes && m <= MOST_ROWS) columnsAsLanes(m, n, K, a, am, b, bn, c, cm, add);
    else if (lanes) rowsAsLanes(m, n, K, a, am, b, bn, c, cm, add);
    else gemm(m, n, K, a, am, ak, b, bk, bn, c, cm, add);
  }
}
