/** @file Kernels that move elements: boxes copied, transposes. */
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

/** C values that stand `step` bytes apart, one behind the other; one value C times if step is 0. */
function copyEvery(to: usize, from: usize, step: usize, C: i32): void {
  if (step == 0) {
    const value = v128.load_splat<f32>(from);
    for (const end = to + (<usize>(C & ~3) << 2); to < end; to += 16) v128.store(to, value);
    if (C & 3) storeTail(to, value, C & 3);
    return;
  }
  for (const end = to + (<usize>(C & ~3) << 2); to < end; to += 16) {
    const low = from + (step << 1);
    v128.store(to, f32x4(load<f32>(from), load<f32>(from + step), load<f32>(low), load<f32>(low + step)));
    from = low + (step << 1);
  }
  for (let i = 0; i < (C & 3); i++) {
    store<f32>(to + (<usize>i << 2), load<f32>(from));
    from += step;
  }
}

// @ts-ignore: decorator
@inline
function copyPiece(to: usize, from: usize, element: usize, length: i32): void {
  if (element != 4) copyEvery(to, from, element, length);
  else if (length < 256) copyRow(to, from, length);
  else memory.copy(to, from, <usize>length << 2);
}

/**
 * Kernel: `outer` times `count` pieces of `length` elements. From piece to piece it is `toStep` and `fromStep` elements, from one of the
 * outer ones to the next `toOuter` and `fromOuter`; in a piece the elements of `from` are `fromElement` apart.
 * Arguments: to, from, outer, count, length, and the steps.
 */
export function copyPieces(part: i32, parts: i32): void {
  const count = int(args.count), length = int(args.length), outer = int(args.outer);
  const toStep = <usize>int(args.toStep) << 2, fromStep = <usize>int(args.fromStep) << 2;
  const toOuter = <usize>int(args.toOuter) << 2, fromOuter = <usize>int(args.fromOuter) << 2;
  const element = <usize>int(args.fromElement) << 2;
  if (outer * count == 1) {
    const first = partBegin(length, 1024, part, parts);
    copyPiece(pointer(args.to) + (<usize>first << 2), pointer(args.from) + first * element, element, partBegin(length, 1024, part + 1, parts) - first);
    return;
  }
  const begin = partBegin(outer * count, 1, part, parts);
  let left = partBegin(outer * count, 1, part + 1, parts) - begin;
  for (let o = begin / count, i = begin - o * count; left > 0; o++, i = 0) {
    const end = min(count, i + left);
    left -= end - i;
    const toRow = pointer(args.to) + o * toOuter, fromRow = pointer(args.from) + o * fromOuter;
    // A value repeated up to four times is stored as four: the pieces behind it are written over the rest.
    if (element == 0 && length <= 4 && toStep == <usize>length << 2) {
      for (; i + 3 < end; i++) v128.store(toRow + i * toStep, v128.load_splat<f32>(fromRow + i * fromStep));
    }
    for (; i < end; i++) {
      copyPiece(toRow + i * toStep, fromRow + i * fromStep, element, length);
    }
  }
}

/** Kernel: zeros. Arguments: to, length. */
export function fillZero(part: i32, parts: i32): void {
  const length = int(args.length);
  const begin = partBegin(length, 1024, part, parts), end = partBegin(length, 1024, part + 1, parts);
  memory.fill(pointer(args.to) + (<usize>begin << 2), 0, <usize>(end - begin) << 2);
}

/** Kernel: y [batch, n, m] = x [batch, m, n] transposed. Arguments: y, x, batch, m, n. */
export function transpose(part: i32, parts: i32): void {
  const batch = int(args.batch), m = int(args.rows), n = int(args.columns);
  // Rows of the band that stay in the cache while four columns at a time are taken out of them. Those that are whole pages apart share
  // one place in it, which has room for 8 of them.
  const block = n & 1023 ? 64 : 8;
  // Threads take runs of 16 columns of x: whole cache lines.
  const bands = (n + 15) >> 4;
  const end = partBegin(batch * bands, 1, part + 1, parts);
  for (let band = partBegin(batch * bands, 1, part, parts); band < end; band++) {
    const which = band / bands;
    const matrix = (<usize>which * m * n) << 2;
    const first = (band - which * bands) << 4;
    for (let i = 0; i < m; i += block) {
      for (let j = first; j < min(n, first + 16); j += 4) {
        transposeStrip(pointer(args.y) + matrix, pointer(args.x) + matrix, m, n, i, min(m, i + block), j, min(4, n - j));
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
