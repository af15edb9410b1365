/** @file Where the time of a step goes: kernel by kernel, with calls and bytes, and what JavaScript takes between them. */
import type { Backend, Operand } from '@blt-ts/tensor';
import { short } from './harness.ts';

/** All calls of one kernel in one step. */
export interface KernelRow {
  readonly kernel: string;
  readonly ms: number;
  readonly calls: number;
  /** Bytes of all operands: what is moved if each is read or written once. */
  readonly bytes: number;
}

/** A step by the clock. What its kernels do not take is JavaScript: the model, the tape, checks, and memory handed out. */
export interface StepTable {
  readonly ms: number;
  readonly rows: readonly KernelRow[];
}

const bytesOf = (operands: readonly Operand[]): number =>
  operands.reduce((n, { shape }) => n + 4 * shape.reduce((a, b) => a * b, 1), 0);

/** Means over `steps` steps. A kernel's time has its share of waiting for other threads. */
export async function stepTable(backend: Backend, step: () => Promise<unknown>, steps: number): Promise<StepTable> {
  const found = new Map<string, { ms: number; calls: number; bytes: number }>();
  const { run } = backend;
  backend.run = (kernel, outs, ins, attrs) => {
    const row = found.get(kernel) ?? { ms: 0, calls: 0, bytes: 0 };
    found.set(kernel, row);
    const start = performance.now();
    run.call(backend, kernel, outs, ins, attrs);
    row.ms += performance.now() - start;
    row.calls++;
    row.bytes += bytesOf(ins) + bytesOf(outs);
  };
  const start = performance.now();
  try {
    for (let i = 0; i < steps; i++) await step();
  } finally {
    backend.run = run;
  }
  const ms = (performance.now() - start) / steps;
  const rows = [...found].map(([kernel, row]) => ({
    kernel,
    ms: row.ms / steps,
    calls: row.calls / steps,
    bytes: row.bytes / steps,
  }));
  return { ms, rows: rows.sort((a, b) => b.ms - a.ms) };
}

/** The table as lines: the kernels that take a hundredth of the step or more, all others together, JavaScript. */
export function tableLines({ ms, rows }: StepTable): string[] {
  const line = (name: string, time: number, calls: number, bytes: number) =>
    [
      name.padEnd(26),
      `${short(time).toFixed(2)} ms`.padStart(11),
      `${((100 * time) / ms).toFixed(1)}%`.padStart(7),
      calls > 0 ? `${Math.round(calls)} calls`.padStart(11) : '',
      calls > 0 ? `${((1000 * time) / calls).toFixed(0)} us each`.padStart(13) : '',
      bytes > 0 ? `${(bytes / 1e6).toFixed(1)} MB`.padStart(10) : '',
    ].join('');
  const large = rows.filter((row) => row.ms >= ms / 100);
  const small = rows.filter((row) => row.ms < ms / 100);
  const total = (of: readonly KernelRow[], key: 'ms' | 'calls' | 'bytes') => of.reduce((n, row) => n + row[key], 0);
  return [
    ...large.map((row) => line(row.kernel, row.ms, row.calls, row.bytes)),
    line('other kernels', total(small, 'ms'), total(small, 'calls'), total(small, 'bytes')),
    line('JavaScript', ms - total(rows, 'ms'), 0, 0),
    line('step', ms, total(rows, 'calls'), total(rows, 'bytes')),
  ];
}
