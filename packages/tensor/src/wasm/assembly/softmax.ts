/**
 * @file Softmax over rows, and the cross-entropy built on it. A row's ragged end is read whole and its surplus lanes set to
 * -Infinity, whose exponential is exactly 0.
 */
import * as args from '../arguments/softmax';
import { int, partBegin, pointer } from './core/call';
import { expFast, lanesBelow, log, maxLanes, storeTail, sumLanes } from './core/simd';

/** The last n & 3 values of a row of n, the other lanes -Infinity. */
// @ts-ignore: decorator
@inline
function rowEnd(x: usize, n: i32): v128 {
  return v128.bitselect(v128.load(x + (<usize>(n & ~3) << 2)), f32x4.splat(-Infinity), lanesBelow(n & 3));
}

/** The largest of n values. */
export function rowMax(x: usize, n: i32): f32 {
  let most = n & 3 ? rowEnd(x, n) : f32x4.splat(-Infinity);
  const end = x + (<usize>(n & ~3) << 2);
  for (; x < end; x += 16) most = f32x4.pmax(most, v128.load(x));
  return maxLanes(most);
}

/** sum of e^(x - max), in the order of the lanes. */
function sumExp(x: usize, n: i32, most: f32): f32 {
  const shift = f32x4.splat(most);
  let total = n & 3 ? expFast(f32x4.sub(rowEnd(x, n), shift)) : f32x4.splat(0);
  const end = x + (<usize>(n & ~3) << 2);
  for (; x < end; x += 16) total = f32x4.add(total, expFast(f32x4.sub(v128.load(x), shift)));
  return sumLanes(total);
}

/** y = e^(x - max); returns the sum. */
function storeExp(y: usize, x: usize, n: i32, most: f32): f32 {
  const shift = f32x4.splat(most);
  const whole = <usize>(n & ~3) << 2;
  let total = f32x4.splat(0);
  if (n & 3) {
    total = expFast(f32x4.sub(rowEnd(x, n), shift));
    storeTail(y + whole, total, n & 3);
  }
  const end = x + whole;
  for (; x < end; x += 16) {
    const e = expFast(f32x4.sub(v128.load(x), shift));
    v128.store(y, e);
    total = f32x4.add(total, e);
    y += 16;
  }
  return sumLanes(total);
}

/** y = y factor, n values in place. */
export function scaleRow(y: usize, n: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  const end = y + (<usize>(n & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, f32x4.mul(v128.load(y), f));
  if (n & 3) storeTail(y, f32x4.mul(v128.load(y), f), n & 3);
}

/** Kernel. Arguments: y, x, rows, n. */
export function softmax(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.C);
  const row = <usize>n << 2;
  const end = partBegin(rows, 1, part + 1, parts);
  for (let i = partBegin(rows, 1, part, parts); i < end; i++) {
    const x = pointer(args.x) + i * row, y = pointer(args.y) + i * row;
    scaleRow(y, n, 1 / storeExp(y, x, n, rowMax(x, n)));
  }
}

/** Kernel: y = x - max - ln sum e^(x - max). Arguments: y, x, rows, n. */
export function logSoftmax(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.C);
  const row = <usize>n << 2;
  const end = partBegin(rows, 1, part + 1, parts);
  for (let i = partBegin(rows, 1, part, parts); i < end; i++) {
    const x = pointer(args.x) + i * row, y = pointer(args.y) + i * row;
    const most = rowMax(x, n);
    const shift = f32x4.splat(most);
    const logSum = f32x4.splat(<f32>log(sumExp(x, n, most)));
    let at: usize = 0;
    for (const whole = <usize>(n & ~3) << 2; at < whole; at += 16) {
      v128.store(y + at, f32x4.sub(f32x4.sub(v128.load(x + at), shift), logSum));
    }
    if (n & 3) storeTail(y + at, f32x4.sub(f32x4.sub(v128.load(x + at), shift), logSum), n & 3);
  }
}

/** Kernel: loss[i] = ln sum_v e^logits[i,v] - logits[i,targets[i]]. Arguments: loss, logits, targets, rows, V. */
export function crossEntropy(part: i32, parts: i32): void {
  const rows = int(args.rows), V = int(args.V);
  const end = partBegin(rows, 16, part + 1, parts);
  for (let i = partBegin(rows, 16, part, parts); i < end; i++) {
    const x = pointer(args.logits) + (<usize>(i * V) << 2);
    const target = load<i32>(pointer(args.targets) + (<usize>i << 2));
    const most = rowMax(x, V);
    const loss = <f64>most - <f64>load<f32>(x + (<usize>target << 2)) + log(sumExp(x, V, most));
    store<f32>(pointer(args.loss) + (<usize>i << 2), <f32>loss);
  }
}

/** Kernel: dx[i,v] = g[i] (softmax(x[i])[v] - [v = targets[i]]). Arguments: dx, x, targets, g, rows, V. */
export function crossEntropyBackward(part: i32, parts: i32): void {
  const rows = int(args.rows), V = int(args.V);
  const end = partBegin(rows, 1, part + 1, parts);
  for (let i = partBegin(rows, 1, part, parts); i < end; i++) {
    const x = pointer(args.logits) + (<usize>(i * V) << 2), dx = pointer(args.dlogits) + (<usize>(i * V) << 2);
    const target = load<i32>(pointer(args.targets) + (<usize>i << 2));
    const g = load<f32>(pointer(args.g) + (<usize>i << 2));
    scaleRow(dx, V, g / storeExp(dx, x, V, rowMax(x, V)));
    const at = dx + (<usize>target << 2);
    store<f32>(at, load<f32>(at) - g);
  }
}
