/** @file Counting the FLOPs of the kernels that ran. */
import type { KernelName } from './contract.ts';
import { refusePromise } from './given.ts';

/** Calls of one kernel, and their FLOPs together. */
export interface LedgerLine {
  calls: number;
  flops: number;
}

/** Calls and FLOPs that really ran, by kernel. */
export type Ledger = Map<KernelName, LedgerLine>;

let open: Ledger | null = null;

/** @internal Whether every kernel is to be counted. */
export const ledgerIsOpen = (): boolean => open !== null;

/** @internal Called by `run` for every kernel. */
export function recordFlops(kernel: KernelName, flops: () => number): void {
  if (open === null) return;
  let line = open.get(kernel);
  if (!line) open.set(kernel, (line = { calls: 0, flops: 0 }));
  line.calls++;
  line.flops += flops();
}

/**
 * Runs `f` and returns its result with the FLOPs its kernels executed (a multiply-add is 2). Ledgers do not nest.
 * @throws TypeError if `f` returns a promise, because kernels that run later are not counted
 */
export function withLedger<R>(f: () => R): { result: R; ledger: Ledger } {
  if (open) throw new Error('withLedger: a ledger is already open; they do not nest');
  const ledger: Ledger = new Map();
  open = ledger;
  try {
    const result = f();
    refusePromise('withLedger', result);
    return { result, ledger };
  } finally {
    open = null;
  }
}

/** Sum over the lines; `only` keeps some kernels. */
export function totalFlops(ledger: Ledger, only?: readonly KernelName[]): number {
  let total = 0;
  for (const [kernel, line] of ledger) if (!only || only.includes(kernel)) total += line.flops;
  return total;
}
