/**
 * @file The tape: which kernel made which tensor from which. Under `recording`, `apply` runs a kernel and writes the call down.
 * The tape knows no kernel by name and no formula: rules.ts has the rules, backward.ts walks the tape back.
 */
import {
  checkTensor,
  contract,
  formatShape,
  type KernelAttrs,
  type KernelName,
  run,
  savingForBackward,
  type Tensor,
  watchReads,
} from '@blt-ts/tensor';

// ----- what is on a tape ----------------------------------------------------------------------------------------------

/** One call of a kernel: `outs = kernel(ins, attrs)`. */
export interface KernelCall<K extends KernelName = KernelName> {
  readonly kernel: K;
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
  readonly attrs: KernelAttrs[K];
}

/** Values that a gradient rule reads: inputs by index, and whether it reads the outputs. Shapes are always there. */
export interface Reads {
  readonly ins: readonly number[];
  readonly outs: boolean;
}

/** The part of a gradient rule that decides which values stay in memory for the backward pass. */
export interface RuleMemory {
  /** All other values are freed when the scope they were made in ends. */
  readonly reads: Reads;
  /**
   * The result is cheap to compute beside the memory it takes. Once much memory is in use (`rematAboveBytes`), it is not kept for
   * later rules but computed again (remat.ts). For kernels whose own rule reads all inputs, so that these are there.
   */
  readonly rematerializable?: true;
}

/** The gradient rule of an op that its user defined. It travels with the call. */
export interface OwnRule extends RuleMemory {
  /** One cotangent for each input, null where there is none. */
  readonly vjp: (
    g: Tensor,
    call: { readonly ins: readonly Tensor[]; readonly outs: readonly Tensor[]; readonly needs: readonly boolean[] },
  ) => readonly (Tensor | null)[];
}

/** One call of an op that its user defined (define-op.ts), as a whole: what it is made of is not recorded. */
export interface OwnCall {
  readonly op: string;
  readonly rule: OwnRule;
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
}

/** The part of a node that says what its rule reads, and which inputs can be freed once the rule has run. */
interface Kept {
  readonly reads: Reads;
  /** Indices of the inputs that no rule reads after the one of this node. Only tensors computed under this tape, never the caller's. */
  readonly lastReads: readonly number[];
  /** Versions of the inputs, then of the outputs, when the kernel ran. A change in place raises the version of a storage. */
  readonly versions: readonly number[];
}

export type KernelNode = KernelCall & Kept;
export type OwnNode = OwnCall & Kept;

/** A checkpointed function as a single node, together with the outer tensors it depends on and their versions. */
export interface CheckpointNode {
  readonly recompute: () => Tensor;
  readonly outs: readonly [Tensor];
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

// ----- the tape -------------------------------------------------------------------------------------------------------

/** Receives every kernel call while it is open. */
export interface Recorder {
  /** @param alone no other recorder is open */
  record(call: KernelCall | OwnCall, alone: boolean): void;
  /** Notes that `y` was made of `x` by a kernel that no tape records. */
  recordConstant(x: Tensor, y: Tensor): void;
  /** Whether `x` depends on a tensor that the gradient is taken with respect to. */
  depends(x: Tensor): boolean;
  /** Whether the backward pass may read the memory behind `x`, under this tensor or under another shape. */
  sharesMemory(x: Tensor): boolean;
  /** Notes that the host, or a kernel that no tape records, reads the values of `x`. */
  noteRead?(x: Tensor): void;
}

/** A recorder that says which tensors the scopes under it may not free. */
interface SavingRecorder extends Recorder {
  saves(x: Tensor): boolean;
}

/** Above this many bytes in use, memory is worth more than the time of computing something cheap twice. */
const REMAT_ABOVE_BYTES = 2 ** 28;

/** The kernel calls of one forward pass, in order, and the tensors that the backward pass will read. */
export class Tape implements SavingRecorder {
  readonly nodes: (KernelNode | OwnNode | CheckpointNode)[] = [];
  /** Tensors whose value depends on a tensor that the gradient is taken with respect to; those tensors too. */
  readonly tracked = new Set<Tensor>();
  /** Results that may be computed again instead of kept, each with the node that makes it. */
  readonly rematerializable = new Map<Tensor, KernelNode>();
  /** Tensors that no gradient gets back through, and why an operation refuses them. */
  readonly cutOff = new WeakMap<Tensor, string>();

  /** Tensors whose values the backward pass reads. */
  private readonly read = new Set<Tensor>();
  /** Tensors among them that stay in memory until then. The others are rematerialized. */
  private readonly saved = new Set<Tensor>();
  private readonly ruleOf: (kernel: KernelName) => RuleMemory;
  private readonly rematAboveBytes: number;

  constructor(ruleOf: (kernel: KernelName) => RuleMemory, rematAboveBytes = REMAT_ABOVE_BYTES) {
    this.ruleOf = ruleOf;
    this.rematAboveBytes = rematAboveBytes;
  }

  record(call: KernelCall | OwnCall, alone: boolean): void {
    const { ins, outs } = call;
    const refused = ins.find((x) => this.cutOff.has(x));
    if (refused) throw new Error(this.cutOff.get(refused));
    if (!ins.some((x) => this.tracked.has(x))) return;
    const { reads, rematerializable } = 'rule' in call ? call.rule : this.ruleOf(call.kernel);
    // The first to read on the way forward is the last on the way back.
    const lastReads: number[] = [];
    for (const i of reads.ins) {
      const x = ins[i];
      if (this.tracked.has(x) && !this.read.has(x)) lastReads.push(i);
      this.read.add(x);
      // With an outer tape open everything is kept, because that tape would not know of a result that is computed again.
      if (!alone || !this.rematerializable.has(x)) this.saved.add(x);
    }
    const node = { ...call, reads, lastReads, versions: [...ins, ...outs].map(versionOf) };
    this.nodes.push(node);
    if (reads.outs) for (const y of outs) this.save(y);
    const [y] = outs;
    if ('kernel' in node && alone && rematerializable && y.backend.bytesInUse >= this.rematAboveBytes)
      this.rematerializable.set(y, node);
    for (const out of outs) this.tracked.add(out);
  }

  /** Records a checkpointed function as a single node, together with the outer tensors it depends on. */
  recordCheckpoint(recompute: () => Tensor, out: Tensor, inputs: Iterable<Tensor>): void {
    const versions = new Map<Tensor, number>();
    for (const x of inputs) {
      versions.set(x, versionOf(x));
      this.save(x);
    }
    this.nodes.push({ recompute, outs: [out], inputs: versions });
    this.tracked.add(out);
  }

  recordConstant(): void {
    // A constant has no gradient.
  }

  private save(x: Tensor): void {
    this.read.add(x);
    this.saved.add(x);
  }

  /** Whether `x` must stay in memory for the backward pass. */
  saves(x: Tensor): boolean {
    return this.saved.has(x);
  }

  depends(x: Tensor): boolean {
    return this.tracked.has(x);
  }

  sharesMemory(x: Tensor): boolean {
    const same = (y: Tensor) => y.storage === x.storage;
    return [...this.tracked].some(same) || [...this.saved].some(same);
  }
}

// ----- recording ------------------------------------------------------------------------------------------------------

/** The open recorders, the innermost last. */
const open: Recorder[] = [];

/** Whether a tape is open, which may read later what a kernel reads now. */
export const isRecording = (): boolean => open.length > 0;

/** The open recorder, if it is the only one. */
export const onlyRecorder = (): Recorder | undefined => (open.length === 1 ? open[0] : undefined);

/** Runs `f` with `tape` recording, as well as every tape already open (gradients of gradients). */
export function recording<R>(tape: SavingRecorder, f: () => R): R {
  open.push(tape);
  const before = watchReads(refuseUnrecorded);
  try {
    return savingForBackward((x) => tape.saves(x), f);
  } finally {
    watchReads(before);
    open.splice(open.indexOf(tape), 1);
  }
}

/** Runs `f` with one recorder in the place of all that are open, which it is made for. */
export function recordingInstead<R>(recorder: (before: readonly Recorder[]) => Recorder, f: () => R): R {
  const before = open.splice(0);
  open.push(recorder(before));
  try {
    return f();
  } finally {
    open.pop();
    for (const each of before) open.push(each);
  }
}

/** Records a call of an op that its user defined. */
export function recordOwn(call: OwnCall): void {
  for (const tape of open) tape.record(call, open.length === 1);
}

/** Refuses `readSync` and `run` on a tracked tensor, because whatever is computed from its values would silently be a constant. */
function refuseUnrecorded(x: Tensor, how: string): void {
  for (const recorder of open) recorder.noteRead?.(x);
  // Looking at a tensor makes nothing of it.
  if (how === 'toString' || x.dtype !== 'f32' || !open.some((tape) => tape.depends(x))) return;
  const what = how === 'readSync' || how === 'assign' ? how : `run('${how}')`;
  throw new Error(
    `${what}: tensor ${formatShape(x.shape)} depends on what a gradient is being taken of, and the gradient would not see what is made of it; use the operations of @blt-ts/autograd, or read stopGradient(x) where it is to be a constant`,
  );
}

/** Runs `f` without `refuseUnrecorded`: the tape records `f` as one call, or the result is meant to be a constant. */
export function unwatched<R>(f: () => R): R {
  const before = watchReads(null);
  try {
    return f();
  } finally {
    watchReads(before);
  }
}

/** Runs a kernel of the contract and records it. Every differentiable operation is one of these calls, or made of them. */
export function applyAll<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor[] {
  for (const i of contract[kernel].mutates ?? []) {
    if (open.some((tape) => tape.sharesMemory(ins[i]))) {
      throw new Error(`${kernel} overwrites a tensor that a gradient is being taken through; call it outside`);
    }
  }
  const outs = unwatched(() => run(kernel, ins, attrs));
  if (open.length === 0) return outs;
  const call = { kernel, ins: ins.slice(), outs, attrs: copied(attrs) };
  for (const tape of open) tape.record(call, open.length === 1);
  return outs;
}

/** Attributes whose arrays are copies, because callers change theirs before the backward pass. */
function copied<A extends object>(attrs: A): A {
  const copy = { ...attrs };
  for (const key in copy) if (Array.isArray(copy[key])) copy[key] = copy[key].slice() as never;
  return copy;
}

/** `applyAll` for the kernels with one result. */
export function apply<K extends KernelName>(kernel: K, ins: readonly Tensor[], attrs: KernelAttrs[K]): Tensor {
  return applyAll(kernel, ins, attrs)[0];
}

/**
 * A constant with the values of x, cut off from every gradient: y = x, dy/dx = 0. PyTorch calls it `detach`, JAX `stop_gradient`.
 * No data moves: y shares the memory of x.
 */
export function stopGradient(x: Tensor): Tensor {
  checkTensor('stopGradient: x', x);
  const [y] = unwatched(() => run('reshape', [x], { shape: x.shape }));
  for (const recorder of open) recorder.recordConstant(x, y);
  return y;
}
