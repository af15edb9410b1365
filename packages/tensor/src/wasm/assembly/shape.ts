/** @file Kernels that move elements: strided copies, transposes. */
import * as args from '../arguments/shape';
import { int, partBegin, pointer } from './core/call';
import { storeTail, storeTransposed } from './core/simd';

/** C values, to the last one exactly. */
export function copyRow(to: usize, from: usize, C: i32): void {
  const end = to + (<usize>(C & ~3) << 2);
  while (to < end) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  if (C & 3) storeTail(to, v128.load(from), C & 3);
}

/** Kernel: `count` pieces of `length` elements, each `toStep` and `fromStep` elements on. Arguments: to, from, count, length, toStep, fromStep. */
export function copyPieces(part: i32, parts: i32): void {
  const count = int(args.count), length = int(args.length);
  const toStep = <usize>int(args.toStep) << 2, fromStep = <usize>int(args.fromStep) << 2;
  const end = partBegin(count, 1, part + 1, parts);
  for (let i = partBegin(count, 1, part, parts); i < end; i++) {
    const to = pointer(args.to) + i * toStep, from = pointer(args.from) + i * fromStep;
    if (length < 256) copyRow(to, from, length);
    else memory.copy(to, from, <usize>length << 2);
  }
}

/** Kernel: y [batch, n, m] = x [batch, m, n] transposed. Arguments: y, x, batch, m, n. */
export function transpose(part: i32, parts: i32): void {
  const batch = int(args.batch), m = int(args.rows), n = int(args.columns);
  // Threads take runs of 16 columns of x: whole cache lines.
  const bands = (n + 15) >> 4;
  const end = partBegin(batch * bands, 1, part + 1, parts);
  for (let band = partBegin(batch * bands, 1, part, parts); band < end; band++) {
    const which = band / bands;
    const matrix = (<usize>which * m * n) << 2;
    const first = (band - which * bands) << 4;
    for (let i = 0; i < m; i += 64) {
      // 64 rows of the band stay in the cache while four columns at a time are taken out of them.
      for (let j = first; j < min(n, first + 16); j += 4) {
        transposeStrip(pointer(args.y) + matrix, pointer(args.x) + matrix, m, n, i, min(m, i + 64), j, min(4, n - j));
      }
    }
  }
}

/** Rows i .. end-1 of x, `columns` columns from j on, in tiles of 4 x 4. */
function transposeStrip(y: usize, x: usize, m: i32, n: i32, i: i32, end: i32, j: i32, columns: i32): void {
  const xRow = <usize>n << 2, yRow = <usize>m << 2;
  for (; i < end; i += 4) {
    const from = x + i * xRow + (<usize>j << 2);
    const to = y + j * yRow + (<usize>i << 2);
    if (columns == 4 && i + 4 <= end) {
      storeTransposed(to, yRow, v128.load(from), v128.load(from + xRow), v128.load(from + xRow * 2), v128.load(from + xRow * 3));
    } else {
      for (let r = 0; r < min(4, end - i); r++) {
        for (let c = 0; c < columns; c++) {
          store<f32>(to + c * yRow + (<usize>r << 2), load<f32>(from + r * xRow + (<usize>c << 2)));
        }
      }
    }
  }
}
