/** @file The cell behind a storage on the device, and the queue in which everything happens to it. */
import type { TypedArray } from '../backend.ts';
import type { Buffer, Driver, Launch } from './drivers/driver.ts';
import type { KernelSource } from './kernel-source.ts';

/**
 * The values of one storage. `buffer` and `error` belong to the queue: they say how things stand at the step that is running,
 * not at the call that is being made.
 */
export interface Cell {
  /** Tells cells apart in the names of tables derived from two of them. */
  readonly id: number;
  readonly length: number;
  buffer: Buffer | null;
  /** The step that should have filled it failed, or one before it. */
  error: Error | null;
  /** Kept for whole numbers (ids, positions, bounds), which are asked for on the host. */
  host: Int32Array | null;
  /** The same as the queue sees it: uploaded when a kernel first reads it. */
  source: Int32Array | null;
  /** Tables computed from `host`, such as the queries that see each key: made once, freed with the cell. */
  derived: Map<string, Cell> | null;
}

let created = 0;

const newCell = (length: number, host: Int32Array | null = null): Cell => ({
  id: created++,
  length,
  buffer: null,
  error: null,
  host,
  source: host,
  derived: null,
});

type Step = () => void | Promise<void>;

/**
 * Calls return at once; their work waits in a queue that is done in order, one step after the other. So an operation sees its
 * inputs as they were when it was called, an update in place comes after all reads before it, and a buffer is released behind
 * its last use. A step that waits (a kernel being compiled, an answer of gpu.js) holds up the steps, never the caller.
 */
export class CommandQueue {
  readonly driver: Driver;
  private steps: Step[] = [];
  private next = 0;
  private running = false;
  private idle: (() => void)[] = [];
  private fault: Error | null = null;
  /** Buffers on the device, and kernels called. */
  buffers = 0;
  launches = 0;

  constructor(driver: Driver) {
    this.driver = driver;
  }

  /** The fault after which no value can be trusted. */
  private get failure(): Error | null {
    return this.driver.failure ?? this.fault;
  }

  private enqueue(step: Step): void {
    this.steps.push(step);
    if (!this.running) {
      this.running = true;
      void this.drain();
    }
  }

  private async drain(): Promise<void> {
    while (this.next < this.steps.length) {
      try {
        const done = this.steps[this.next++]();
        if (done) await done;
      } catch (error) {
        // No step should throw; if one does, no value after it can be trusted.
        this.fault ??= error as Error;
      }
      if (this.next === this.steps.length || this.next === 4096) {
        this.steps = this.steps.slice(this.next);
        this.next = 0;
      }
    }
    this.running = false;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  /** Resolves when everything asked for so far has been handed to the device. */
  settled(): Promise<void> {
    return this.running ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  allocate(length: number): Cell {
    return newCell(length);
  }

  /** The values are copied before this returns. @param whole they are whole numbers (i32), which the host keeps too */
  write(cell: Cell, values: ArrayLike<number>, whole: boolean): void {
    if (whole) {
      const host = Int32Array.from(values);
      cell.host = host;
      for (const table of cell.derived?.values() ?? []) this.free(table);
      cell.derived = null;
      this.enqueue(() => {
        this.drop(cell);
        cell.source = host;
      });
      return;
    }
    const copy = Float32Array.from(values);
    this.enqueue(() => {
      this.drop(cell);
      this.attempt(cell, () => this.driver.upload(copy));
    });
  }

  /** A new cell with values from the host. */
  upload(values: TypedArray | readonly number[]): Cell {
    const cell = newCell(values.length);
    this.write(cell, values, false);
    return cell;
  }

  /** A table computed from the whole numbers of `cell`. */
  derive(cell: Cell, key: string, compute: (host: Int32Array) => Int32Array): Cell {
    cell.derived ??= new Map();
    let table = cell.derived.get(key);
    if (!table) {
      const values = compute(hostValues(cell));
      cell.derived.set(key, (table = newCell(values.length, values)));
    }
    return table;
  }

  /** Runs a kernel into `target`, whose former buffer is released behind the call: it may be among the inputs. */
  launch(k: KernelSource, launch: Launch, arrays: readonly Cell[], scalars: readonly number[], target: Cell): void {
    this.launches++;
    this.enqueue(() => {
      const error = this.failure ?? arrays.find((cell) => cell.error)?.error;
      if (error) {
        target.error = error;
        return;
      }
      return this.attempt(target, () => {
        const ready = arrays.map((cell) => this.ready(cell));
        return this.driver.launch(k, launch, ready, scalars);
      });
    });
  }

  /** Rows `ids` of a table replaced in place. */
  putRows(table: Cell, rows: Cell, ids: Int32Array, columns: number): void {
    this.enqueue(() => {
      table.error ??= rows.error;
      if (table.error) return;
      try {
        table.buffer = this.driver.putRows!(this.ready(table), this.ready(rows), ids, columns);
      } catch (error) {
        table.error = error as Error;
      }
    });
  }

  read(cell: Cell): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      this.enqueue(() => {
        const error = cell.error ?? this.failure;
        if (error) return reject(error);
        if (cell.length === 0) return resolve(new Float32Array(0));
        try {
          // The step ends when the copy has been asked for; the values come later.
          this.driver.read(this.ready(cell), cell.length).then(
            (values) => {
              if (this.failure) reject(this.failure);
              else resolve(values);
            },
            (error) => reject(this.failure ?? error),
          );
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  free(cell: Cell): void {
    for (const table of cell.derived?.values() ?? []) this.free(table);
    this.enqueue(() => this.drop(cell));
  }

  /** The buffer of a cell that a step is about to read. */
  private ready(cell: Cell): Buffer {
    if (cell.buffer === null) {
      // Never written: zeros, as good as any other content.
      cell.buffer = this.driver.upload(cell.source ? Float32Array.from(cell.source) : new Float32Array(cell.length));
      this.buffers++;
    }
    return cell.buffer;
  }

  private attempt(target: Cell, make: () => Buffer | Promise<Buffer>): void | Promise<void> {
    const put = (buffer: Buffer) => {
      this.drop(target);
      target.buffer = buffer;
      target.error = null;
      this.buffers++;
    };
    const fail = (error: unknown) => {
      target.error = this.failure ?? (error as Error);
    };
    try {
      const made = make();
      if (made instanceof Promise) return made.then(put, fail);
      put(made);
    } catch (error) {
      fail(error);
    }
  }

  private drop(cell: Cell): void {
    if (cell.buffer === null) return;
    this.driver.release(cell.buffer);
    cell.buffer = null;
    this.buffers--;
  }
}

/** The whole numbers of a cell. @throws Error for floats, which are on the device only */
export function hostValues(cell: Cell): Int32Array {
  if (cell.host === null) throw new Error('these values are on the device');
  return cell.host;
}
