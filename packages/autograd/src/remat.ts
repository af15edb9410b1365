/**
 * @file Rematerialisation: memory for time. A value that the backward pass reads is computed again instead of kept, in two ways.
 * `recompute` does so for a whole function, by the user's choice; `Rematerialized` for single cheap results, once memory is short.
 */
import { checkTensor, formatShape, release, run, scope, type Tensor } from '@blt-ts/tensor';
import {
  checkVersion,
  type KernelCall,
  type KernelNode,
  type OwnCall,
  type OwnNode,
  onlyRecorder,
  type Recorder,
  recordingInstead,
  Tape,
  unwatched,
} from './tape.ts';

/** Supplies the inputs of the rules in the backward pass of one tape. Results that were not kept are computed again, once each. */
export class Rematerialized {
  private readonly tape: Tape;
  private readonly copies = new Map<Tensor, Tensor>();

  constructor(tape: Tape) {
    this.tape = tape;
  }

  /**
   * The inputs of a node, those that its rule reads with their values of the forward pass.
   * @throws Error if one of these, or an output that the rule reads, was changed in place since
   */
  inputs(node: KernelNode | OwnNode): readonly Tensor[] {
    const { ins, outs, reads, versions } = node;
    const name = 'kernel' in node ? node.kernel : node.op;
    if (reads.outs) for (const [i, y] of outs.entries()) checkVersion(y, versions[ins.length + i], name);
    return ins.map((x, i) => {
      if (!reads.ins.includes(i)) return x;
      if (x.freed) return this.remat(x);
      checkVersion(x, versions[i], name);
      return x;
    });
  }

  private remat(x: Tensor): Tensor {
    const node = this.tape.rematerializable.get(x);
    if (!node) return x;
    let copy = this.copies.get(x);
    if (!copy) {
      [copy] = unwatched(() => run(node.kernel, this.inputs(node), node.attrs));
      this.copies.set(x, copy);
    }
    return copy;
  }

  /** Frees the copy of `x`, which no rule will read again. */
  free(x: Tensor): void {
    const copy = this.copies.get(x);
    if (copy) release(copy);
    this.copies.delete(x);
    this.tape.rematerializable.delete(x);
  }
}

/** Stands in for the tape while a checkpointed function runs: notes the tensors it reads from outside, records no call. */
class CheckpointInputs implements Recorder {
  readonly inputs = new Set<Tensor>();
  private readonly made = new Set<Tensor>();
  readonly dependent = new Set<Tensor>();
  private readonly tape: Tape;

  constructor(tape: Tape) {
    this.tape = tape;
  }

  record({ ins, outs }: KernelCall | OwnCall): void {
    for (const x of ins) if (!this.made.has(x)) this.inputs.add(x);
    for (const y of outs) this.made.add(y);
    if (ins.some((x) => this.depends(x))) for (const y of outs) this.dependent.add(y);
  }

  recordConstant(x: Tensor, y: Tensor): void {
    if (!this.made.has(x)) this.inputs.add(x);
    this.made.add(y);
  }

  depends(x: Tensor): boolean {
    return this.dependent.has(x) || this.tape.depends(x);
  }

  sharesMemory(x: Tensor): boolean {
    return this.inputs.has(x) || this.made.has(x) || this.tape.sharesMemory(x);
  }
}

/**
 * Runs `f` without keeping its activations. The backward pass runs `f` again to have them: about one more forward pass, in exchange
 * for all memory between the inputs of `f` and its result. PyTorch calls this `checkpoint`, JAX `remat`.
 * Value and gradients have the same bits as those of `f()`. Without an open gradient, or inside a gradient of a gradient, it is
 * just `f()`.
 * @param f must give the same values both times: draw random numbers before it, or reset their generator to the same state
 * @throws Error from the gradient, if a tensor that `f` reads was changed in place in between; from an operation outside of `f` that reads
 *   a tensor which `f` made and kept
 * @see Chen et al. 2016, Training deep nets with sublinear memory cost
 */
export function recompute(f: () => Tensor): Tensor {
  const tape = onlyRecorder();
  if (!(tape instanceof Tape)) return f();
  const noted = new CheckpointInputs(tape);
  const out = recordingInstead(
    () => noted,
    () => scope(f),
  );
  checkTensor('recompute: the result of f', out);
  for (const x of noted.dependent) {
    if (x === out || x.freed) continue;
    const lost = `tensor ${formatShape(x.shape)} was made under recompute and kept beyond it, so the gradient through it would be lost`;
    tape.cutOff.set(x, `${lost}; make it outside, or read stopGradient(x)`);
  }
  if (noted.depends(out) && !tape.depends(out)) tape.recordCheckpoint(f, out, noted.inputs);
  return out;
}

/**
 * f(...inputs) without keeping its activations, under PyTorch's name and form: `recompute(() => f(...inputs))`. Nothing is written to a file.
 * @throws as `recompute`
 * @see `torch.utils.checkpoint.checkpoint`, `jax.checkpoint`
 */
export function checkpoint<X extends readonly unknown[]>(f: (...inputs: X) => Tensor, ...inputs: X): Tensor {
  // biome-ignore lint/plugin: the parameters of one function
  return recompute(() => f(...inputs));
}
