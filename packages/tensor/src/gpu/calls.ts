/** @file The calls that one kernel of the contract is made of: launches into its outputs and into temporary cells. */
import type { Operand } from '../backend.ts';
import { sizeOf } from '../shape.ts';
import { planStrided } from './axes.ts';
import type { Cell, CommandQueue } from './cell.ts';
import { type Launch, sizeOfLaunch } from './drivers/driver.ts';
import type { KernelSource } from './kernel-source.ts';
import { type Fold, foldLast, foldMiddle } from './kernels/reduce.ts';
import { copyLine, copyStrided } from './kernels/shape.ts';

/** The cell of an operand. */
export const cellOf = (x: Operand): Cell => x.storage.handle as Cell;

/** A launch of `count` threads in a line, or of one thread for each element of a matrix. */
export const line = (count: number): Launch => ({ grid: 'line', count });
export const rows = (columns: number, rows: number): Launch => ({ grid: 'rows', columns, rows });

/** The last axis of x, and all before it as one. */
export function rowSizes(x: Operand): [n: number, C: number] {
  const C = x.shape[x.shape.length - 1];
  return [C === 0 ? 0 : sizeOf(x.shape) / C, C];
}

/** A fold longer than this is cut into pieces that run side by side. */
const LONG = 1024;

/** The calls of one kernel of the contract, and the temporary cells between them. */
export class Calls {
  readonly queue: CommandQueue;
  private readonly temporaries: Cell[] = [];

  constructor(queue: CommandQueue) {
    this.queue = queue;
  }

  /** Frees the temporary cells. The queue does so after their last use. */
  end(): void {
    for (const cell of this.temporaries) this.queue.free(cell);
  }

  /** Runs `f` and frees the temporary cells made in it. */
  within(f: () => void): void {
    const from = this.temporaries.length;
    f();
    for (const cell of this.temporaries.splice(from)) this.queue.free(cell);
  }

  /** Launches a kernel into an existing cell. */
  into(target: Cell, k: KernelSource, launch: Launch, arrays: readonly Cell[], scalars: readonly number[] = []): void {
    if (sizeOfLaunch(launch) > 0) this.queue.launch(k, launch, arrays, scalars, target);
  }

  /** Launches a kernel into a new temporary cell. */
  make(k: KernelSource, launch: Launch, arrays: readonly Cell[], scalars: readonly number[] = []): Cell {
    const target = this.temporary(sizeOfLaunch(launch));
    this.into(target, k, launch, arrays, scalars);
    return target;
  }

  temporary(length: number): Cell {
    const cell = this.queue.allocate(length);
    this.temporaries.push(cell);
    return cell;
  }

  upload(values: Float32Array): Cell {
    const cell = this.queue.upload(values);
    this.temporaries.push(cell);
    return cell;
  }

  fill(target: Cell, value: number): void {
    if (target.length > 0) this.queue.write(target, new Float32Array(target.length).fill(value), false);
  }

  copy(target: Cell, from: Cell): void {
    this.into(target, copyLine, line(target.length), [from], [0, 1]);
  }

  /** x [matrices, n, m] -> [matrices, m, n]: what threads side by side read should lie side by side. */
  transposed(x: Cell, matrices: number, n: number, m: number): Cell {
    const {
      columns,
      rows: lines,
      sizes,
      steps,
    } = planStrided('transpose', [matrices, m, n], [{ offset: 0, steps: [n * m, 1, m] }]);
    const scalars = [...sizes, ...steps.flat(), ...sizes.map((size) => 1 / size)];
    return this.make(copyStrided, rows(columns, lines), [x], scalars);
  }

  /** A table of whole numbers computed on the host from others, kept with the first of them. */
  table(from: Cell, key: string, compute: (host: Int32Array) => Int32Array): Cell {
    return this.queue.derive(from, key, compute);
  }

  /** x [outer, length, inner] -> y [outer, inner]. The fold of nothing is 0, or -Infinity for a maximum. */
  fold(fold: Fold, target: Cell, x: Cell, outer: number, length: number, inner: number): void {
    if (outer * inner === 0) return;
    const again = fold === 'squares' ? 'sum' : fold;
    if (length === 0) this.fill(target, fold === 'max' ? Number.NEGATIVE_INFINITY : 0);
    else if (outer === 1 && inner === 1 && length > LONG) {
      // Neighbouring threads read neighbouring elements: `across` columns, each folded down `down` rows, in `pieces`.
      const large = length > 2 ** 19;
      const [across, pieces] = large ? [256, 64] : [64, 16];
      const down = Math.ceil(length / (across * pieces));
      const parts = this.make(foldMiddle[fold], rows(across, pieces), [x], [down, across, length, 0]);
      const few = large ? this.make(foldLast[again], line(64), [parts], [(across * pieces) / 64]) : parts;
      this.into(target, foldLast[again], line(1), [few], [large ? 64 : across * pieces]);
    } else if (outer === 1 && inner > 1 && length > 128) {
      const pieces = Math.min(64, Math.ceil(length / 64));
      const down = Math.ceil(length / pieces);
      const parts = this.make(foldMiddle[fold], rows(inner, pieces), [x], [down, inner, length * inner, 0]);
      this.into(target, foldMiddle[again], rows(inner, 1), [parts], [pieces, inner, pieces * inner, 0]);
    } else if (inner === 1) this.into(target, foldLast[fold], line(outer), [x], [length]);
    else {
      const sizes = [length, inner, outer * length * inner, length * inner];
      this.into(target, foldMiddle[fold], rows(inner, outer), [x], sizes);
    }
  }
}
