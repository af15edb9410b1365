/**
 * @file The tape: it records which kernel made which tensor from which, and knows no kernel. Rules live in `ops/`.
 */
import { contract, type KernelAttrs, type KernelName, keeping, run, type Tensor } from '@blt-ts/tensor';
import type { Reads } from './rule.ts';

export interface Node {
  readonly kernel: KernelName;
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
  readonly attrs: KernelAttrs[KernelName];
}

export class Tape {
  readonly nodes: Node[] = [];
  /** Tensors whose value depends on what this tape differentiates with respect to. */
  readonly tracked = new Set<Tensor>();

  /** Tensors whose values walking back will read. */
  private readonly saved = new Set<Tensor>();
  private readonly reads: (kernel: KernelName) => Reads | undefined;

  /** @param reads which values the rule of a kernel reads; undefined = all */
  constructor(reads: (kernel: KernelName) => Reads | undefined) {
    this.reads = reads;
  }

  record(node: Node): void {
    if (!node.ins.some((x) => this.tracked.has(x))) return;
    this.nodes.push(node);
    const reads = this.reads(node.kernel);
    node.ins.forEach((x, i) => {
      if (!reads || reads.ins.includes(i)) this.saved.add(x);
    });
    if (!reads || reads.outs) for (const y of node.outs) this.saved.add(y);
    // Outputs after the first are saved values (such as the log-sum-exp of attention), not results.
    this.tracked.add(node.outs[0]);
  }

  /** Whether walking back will read this tensor's values. */
  keeps(x: Tensor): boolean {
    return this.saved.has(x);
  }

  /** Whether walking back may read the memory behind `x`, under this tensor or under another shape. */
  needs(x: Tensor): boolean {
    const same = (y: Tensor) => y.storage === x.storage;
    return [...this.tracked].some(same) || this.nodes.some((node) => node.ins.some(same));
  }
}

const open: Tape[] = [];

/** Runs `f` with `tape` recording (as well as every tape already open: gradients of gradients). */
export function recording<R>(tape: Tape, f: () => R): R {
  open.push(tape);
  try {
    return keeping((x) => tape.keeps(x), f);
  } finally {
    open.splice(open.indexOf(tape), 1);
  }
}

/** Runs a kernel of the contract and records it: every differentiable operation is one of these, or made of them. */
export function applyAll<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor[] {
  for (const i of contract[kernel].mutates ?? []) {
    if (open.some((tape) => tape.needs(ins[i]))) {
      throw new Error(`${kernel} overwrites a tensor that a gradient is being taken through; call it outside`);
    }
  }
  const outs = run(kernel, ins, attrs);
  for (const tape of open) tape.record({ kernel, ins, outs, attrs });
  return outs;
}

/** `applyAll` for the kernels with one result. */
export function apply<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor {
  return applyAll(kernel, ins, attrs)[0];
}
