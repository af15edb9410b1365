/**
 * @file The tape: it records which kernel made which tensor from which, and knows no kernel. Rules live in `ops/`.
 */
import {
  contract,
  formatShape,
  type KernelAttrs,
  type KernelName,
  release,
  run,
  savingForBackward,
  scope,
  type Tensor,
  watchReads,
} from '@blt-ts/tensor';
import type { Reads } from './rule.ts';

export interface Node {
  readonly kernel: KernelName;
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
  readonly attrs: KernelAttrs[KernelName];
}

/** A node on a tape. */
interface RecordedNode extends Node {
  /** How often the values of its inputs, then its outputs, had been changed in place when it ran. */
  readonly versions: readonly number[];
  /** Its inputs whose values nobody reads any more once its rule has run: computed here, not given from outside. */
  readonly lastToRead: readonly number[];
}

/** A function whose activations were not kept: walking back runs it again. */
export interface RecomputedNode {
  readonly recompute: () => Tensor;
  readonly outs: readonly [Tensor];
  /** What it reads from outside, and how often that had been changed in place. */
  readonly inputs: ReadonlyMap<Tensor, number>;
}

const versionOf = (x: Tensor): number => x.storage.version;

/** @throws Error if the values of `x` have been changed in place since `version` */
export function checkVersion(x: Tensor, version: number, reader: string): void {
  if (versionOf(x) === version) return;
  throw new Error(
    `${reader}: tensor ${formatShape(x.shape)} was changed in place between the forward and the backward pass, which needs its old values; change it after the gradient, or change a copy`,
  );
}

/** Bytes in use from which memory is worth more than the time of computing something cheap twice. */
const SPARE_FROM = 2 ** 28;

export class Tape {
  readonly nodes: (RecordedNode | RecomputedNode)[] = [];
  /** Tensors whose value depends on what this tape differentiates with respect to. */
  readonly tracked = new Set<Tensor>();

  /** Tensors whose values walking back will read. */
  private readonly saved = new Set<Tensor>();
  /** Tensors that are computed again instead, and by what. */
  private readonly cheap = new Map<Tensor, RecordedNode>();
  /** Those of them that walking back will read, */
  private readonly toRebuild = new Set<Tensor>();
  /** and that it has at hand. */
  private readonly rebuilt = new Map<Tensor, Tensor>();
  private readonly reads: (kernel: KernelName) => Reads | undefined;
  private readonly spareFrom: number;

  /**
   * @param reads which values the rule of a kernel reads; undefined = all
   * @param spareFrom from so many bytes in use on, cheap results are computed again instead of kept
   */
  constructor(reads: (kernel: KernelName) => Reads | undefined, spareFrom = SPARE_FROM) {
    this.reads = reads;
    this.spareFrom = spareFrom;
  }

  /** @param alone no other tape is recording: none will have to know of what is computed again */
  record(node: Node, alone: boolean): void {
    if (!node.ins.some((x) => this.tracked.has(x))) return;
    const reads = this.reads(node.kernel);
    // The first to read on the way forward is the last on the way back.
    const lastToRead: number[] = [];
    node.ins.forEach((x, i) => {
      if (!this.isRead(node, i)) return;
      const again = alone && this.cheap.has(x);
      if (this.tracked.has(x) && !this.saved.has(x) && !this.toRebuild.has(x)) lastToRead.push(i);
      (again ? this.toRebuild : this.saved).add(x);
    });
    const recorded = { ...node, versions: [...node.ins, ...node.outs].map(versionOf), lastToRead };
    this.nodes.push(recorded);
    if (!reads || reads.outs) for (const y of node.outs) this.saved.add(y);
    const [y] = node.outs;
    if (alone && reads?.cheap && y.backend.bytesInUse >= this.spareFrom) this.cheap.set(y, recorded);
    for (const out of node.outs) this.tracked.add(out);
  }

  private isRead({ kernel }: Node, input: number): boolean {
    return this.reads(kernel)?.ins.includes(input) ?? true;
  }

  /**
   * The inputs of a node for its rule: those that it reads and that were not kept are computed again.
   * @throws Error if one that it reads has other values than when the node ran
   */
  inputs(node: RecordedNode): readonly Tensor[] {
    const { kernel, ins, outs, versions } = node;
    if (this.reads(kernel)?.outs ?? true) {
      for (const [i, y] of outs.entries()) checkVersion(y, versions[ins.length + i], kernel);
    }
    return ins.map((x, i) => {
      if (!this.isRead(node, i)) return x;
      if (x.freed) return this.again(x);
      checkVersion(x, versions[i], kernel);
      return x;
    });
  }

  private again(x: Tensor): Tensor {
    const node = this.cheap.get(x);
    if (!node) return x;
    let y = this.rebuilt.get(x);
    if (!y) this.rebuilt.set(x, (y = unwatched(() => run(node.kernel, this.inputs(node), node.attrs)[0])));
    return y;
  }

  /** Frees what was computed again in place of `x`, which nobody will read again. */
  forget(x: Tensor): void {
    const y = this.rebuilt.get(x);
    if (y) release(y);
    this.rebuilt.delete(x);
    this.cheap.delete(x);
  }

  /** Records a function by itself alone, with the tensors from outside that it read. */
  recordRecomputed(recompute: () => Tensor, out: Tensor, inputs: Iterable<Tensor>): void {
    const versions = new Map<Tensor, number>();
    for (const x of inputs) {
      versions.set(x, versionOf(x));
      this.saved.add(x);
    }
    this.nodes.push({ recompute, outs: [out], inputs: versions });
    this.tracked.add(out);
  }

  /** Whether walking back will read this tensor's values. */
  keeps(x: Tensor): boolean {
    return this.saved.has(x);
  }

  depends(x: Tensor): boolean {
    return this.tracked.has(x);
  }

  /** Whether walking back may read the memory behind `x`, under this tensor or under another shape. */
  needs(x: Tensor): boolean {
    const same = (y: Tensor) => y.storage === x.storage;
    return [...this.tracked].some(same) || [...this.saved].some(same);
  }
}

/** Stands in for a tape while a function runs whose activations are not kept; notes what it reads from outside. */
class Probe {
  readonly inputs = new Set<Tensor>();
  private readonly made = new Set<Tensor>();
  private readonly dependent = new Set<Tensor>();
  private readonly tape: Tape;

  constructor(tape: Tape) {
    this.tape = tape;
  }

  record({ ins, outs }: Node): void {
    for (const x of ins) if (!this.made.has(x)) this.inputs.add(x);
    for (const y of outs) this.made.add(y);
    if (ins.some((x) => this.depends(x))) for (const y of outs) this.dependent.add(y);
  }

  recordConstant(x: Tensor, y: Tensor): void {
    if (!this.made.has(x)) this.inputs.add(x);
    this.made.add(y);
  }

  depends(x: Tensor): boolean {
    return this.dependent.has(x) || this.tape.tracked.has(x);
  }

  needs(x: Tensor): boolean {
    return this.inputs.has(x) || this.made.has(x) || this.tape.needs(x);
  }
}

const open: (Tape | Probe)[] = [];

/** Runs `f` with `tape` recording (as well as every tape already open: gradients of gradients). */
export function recording<R>(tape: Tape, f: () => R): R {
  open.push(tape);
  const before = watchReads(refuseUnrecorded);
  try {
    return savingForBackward((x) => tape.keeps(x), f);
  } finally {
    watchReads(before);
    open.splice(open.indexOf(tape), 1);
  }
}

/** What is made of these values would be a constant to the gradient, which would be wrong without a word. */
function refuseUnrecorded(x: Tensor, how: string): void {
  if (x.dtype !== 'f32' || !open.some((tape) => tape.depends(x))) return;
  const what = how === 'readSync' ? 'readSync' : `run('${how}')`;
  throw new Error(
    `${what}: tensor ${formatShape(x.shape)} depends on what a gradient is being taken of, and the gradient would not see what is made of it; use the operations of @blt-ts/autograd, or read stopGradient(x) where it is to be a constant`,
  );
}

/** Runs what a tape records by itself, or is not to record. */
export function unwatched<R>(f: () => R): R {
  const before = watchReads(null);
  try {
    return f();
  } finally {
    watchReads(before);
  }
}

/** Says that `y` was made of `x` by a kernel that no tape records: what runs again reads `x` again. */
export function readUnrecorded(x: Tensor, y: Tensor): void {
  for (const tape of open) if (tape instanceof Probe) tape.recordConstant(x, y);
}

/** Whether a tape is open, which may read later what a kernel reads now. */
export const isRecording = (): boolean => open.length > 0;

/**
 * Runs `f` without keeping its activations; the backward pass runs it again to have them. Memory for time: about one more forward
 * pass in exchange for all that lies between the inputs and the result of `f`. Without a recording tape, or under gradients of
 * gradients, it is just `f()`.
 * @param f must give the same values both times: draw random numbers before it, or put their generator back
 * @see Chen et al. 2016, Training deep nets with sublinear memory cost
 */
export function recompute(f: () => Tensor): Tensor {
  const [tape] = open;
  if (open.length !== 1 || !(tape instanceof Tape)) return f();
  const probe = new Probe(tape);
  open[0] = probe;
  let out: Tensor;
  try {
    out = scope(f);
  } finally {
    open[0] = tape;
  }
  if (probe.depends(out) && !tape.tracked.has(out)) tape.recordRecomputed(f, out, probe.inputs);
  return out;
}

/** Runs a kernel of the contract and records it: every differentiable operation is one of these, or made of them. */
export function applyAll<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor[] {
  for (const i of contract[kernel].mutates ?? []) {
    if (open.some((tape) => tape.needs(ins[i]))) {
      throw new Error(`${kernel} aliases a tensor that a gradient is being taken through; call it outside`);
    }
  }
  const outs = unwatched(() => run(kernel, ins, attrs));
  for (const tape of open) tape.record({ kernel, ins, outs, attrs }, open.length === 1);
  return outs;
}

/** `applyAll` for the kernels with one result. */
export function apply<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor {
  return applyAll(kernel, ins, attrs)[0];
}
