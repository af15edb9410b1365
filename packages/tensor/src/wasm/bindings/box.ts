/** @file Boxes copied between arrays that are stepped through differently: slices, padding, joins, repetitions, most orders of axes. */
import type { Operand } from '../../backend.ts';
import { broadcastStrides, type Shape, sizeOf } from '../../shape.ts';
import * as args from '../arguments/shape.ts';
import { address, type WasmRuntime } from '../runtime.ts';

/** One end of a copy: the address of the first element, and the step along each axis of the box, in elements. */
interface End {
  readonly at: number;
  readonly steps: readonly number[];
}

/** x read as if it had the shape `out`, which it broadcasts to. */
export const readingOf = (x: Operand, out: Shape): End => ({ at: address(x), steps: broadcastStrides(x.shape, out) });

/** An axis of a box: its size, and the steps at both ends. */
interface Axis {
  size: number;
  to: number;
  from: number;
}

/** The axes of a box. Neighbours over which both ends go on evenly are one axis. */
function merged(sizes: Shape, to: End, from: End): Axis[] {
  const axes: Axis[] = [];
  sizes.forEach((size, i) => {
    if (size === 1) return;
    const last = axes.at(-1);
    const next = { size, to: to.steps[i], from: from.steps[i] };
    if (last?.to === size * next.to && last.from === size * next.from) {
      axes[axes.length - 1] = { ...next, size: last.size * size };
    } else axes.push(next);
  });
  return axes;
}

const ONCE: Axis = { size: 1, to: 0, from: 0 };

/** Copies a box of these sizes. One call of the kernel copies three axes of it. */
export function copyBox(runtime: WasmRuntime, sizes: Shape, to: End, from: End): void {
  if (sizeOf(sizes) === 0) return;
  const axes = merged(sizes, to, from);
  const last = axes.at(-1)?.to === 1 ? (axes.pop() as Axis) : { size: 1, to: 1, from: 1 };
  const pieces = axes.pop() ?? ONCE;
  const outer = axes.pop() ?? ONCE;
  const { ints, kernels } = runtime;
  const copy = (depth: number, toAt: number, fromAt: number): void => {
    if (depth < axes.length) {
      const { size, to: toStep, from: fromStep } = axes[depth];
      for (let i = 0; i < size; i++) copy(depth + 1, toAt + i * toStep * 4, fromAt + i * fromStep * 4);
      return;
    }
    ints[args.to] = toAt;
    ints[args.from] = fromAt;
    ints[args.outer] = outer.size;
    ints[args.toOuter] = outer.to;
    ints[args.fromOuter] = outer.from;
    ints[args.count] = pieces.size;
    ints[args.toStep] = pieces.to;
    ints[args.fromStep] = pieces.from;
    ints[args.length] = last.size;
    ints[args.fromElement] = last.from;
    runtime.call(kernels.copyPieces, outer.size * pieces.size * last.size * (last.from === 1 ? 0.2 : 0.6));
  };
  copy(0, to.at, from.at);
}
