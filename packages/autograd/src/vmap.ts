/**
 * @file @blt-ts/autograd/vmap: a function of one example as a function of a batch. It stands alone because its table of batching rules
 * names every kernel: whoever loads all of @blt-ts/autograd does not load it.
 */
import { checkOptions, contract, formatShape, ShapeError, scope, type Tensor } from '@blt-ts/tensor';
import { batched, example, stacked } from './batching.ts';
import { transposeIds } from './ops/axis.ts';
import { reshape, transpose } from './ops/shape.ts';
import { type KernelCall, type OwnCall, type Recorder, recording, stopGradient } from './tape.ts';
import { leaves, mapTree, type Tree, treeMap } from './tree.ts';

/** Where the batch is. */
export interface VmapOptions {
  /** Axis of every argument that counts the examples (default 0; -1 is the last). */
  readonly inAxes?: number;
  /** Axis of every result that counts the examples (default 0; -1 is the last). */
  readonly outAxes?: number;
}

const fromEnd = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

// ----- the axis of the examples ---------------------------------------------------------------------------------------

/** A new tensor: x with its axis `from` as axis `to`, the others in their order. */
function moveAxis(x: Tensor, from: number, to: number): Tensor {
  if (from === to) return reshape(x, x.shape);
  const perm = [...x.shape.keys()].filter((i) => i !== from);
  perm.splice(to, 0, from);
  return x.dtype === 'f32' ? transpose(x, perm) : transposeIds(x, perm);
}

/** The number of examples in all arguments. @throws ShapeError unless all have the axis, and the same size on it */
function batchSize(args: readonly Tree[], inAxes: number): number {
  let size: number | undefined;
  for (const [name, x] of leaves(args)) {
    const found = x.shape[fromEnd(inAxes, x.rank)];
    if (found === undefined)
      throw new ShapeError(`vmap: argument ${name} ${formatShape(x.shape)} has no axis ${inAxes}`);
    size ??= found;
    if (found !== size) {
      throw new ShapeError(`vmap: argument ${name} has ${found} examples on axis ${inAxes}, another one ${size}`);
    }
  }
  if (!size) throw new ShapeError('vmap: there is no example in the arguments, so no result to take the shape from');
  return size;
}

/** A result with the axis of the examples where it was asked for. */
function toOutAxis(y: Tensor, outAxes: number): Tensor {
  const axis = fromEnd(outAxes, y.rank);
  if (!(axis >= 0 && axis < y.rank)) {
    throw new ShapeError(`vmap: outAxes ${outAxes} is no axis of a batch of results ${formatShape(y.shape.slice(1))}`);
  }
  return moveAxis(y, 0, axis);
}

// ----- what f does to one example -------------------------------------------------------------------------------------

/** A call whose result depends on the example: of a kernel, or of `stopGradient`, which no tape records. */
type Step = KernelCall | { readonly stopped: Tensor; readonly outs: readonly [Tensor] };

/** The steps of f on one example, in their order. While it records, no scope frees what they read. */
class Program implements Recorder {
  /** False if what f does may be another thing for another example, or has no rule. */
  batchable = true;
  private readonly steps: Step[] = [];
  private readonly dependent: Set<Tensor>;
  /** Versions of what kernels read: it must still be there, and the same, when the batch reads it. */
  private readonly versions = new Map<Tensor, number>();

  constructor(args: Iterable<Tensor>) {
    this.dependent = new Set(args);
  }

  record(call: KernelCall | OwnCall): void {
    if (!call.ins.some((x) => this.dependent.has(x))) return;
    for (const x of call.ins) this.versions.set(x, x.storage.version);
    for (const y of call.outs) this.dependent.add(y);
    // The gradient rule of an op of one's own is for one call.
    if ('rule' in call || contract[call.kernel].mutates) this.batchable = false;
    else this.steps.push(call);
  }

  recordConstant(x: Tensor, y: Tensor): void {
    if (!this.dependent.has(x)) return;
    this.dependent.add(y);
    this.steps.push({ stopped: x, outs: [y] });
  }

  noteRead(x: Tensor): void {
    if (this.dependent.has(x)) this.batchable = false;
  }

  depends(): boolean {
    // No gradient is taken here.
    return false;
  }

  sharesMemory(): boolean {
    return false;
  }

  saves(): boolean {
    return true;
  }

  /** Whether every example may go the way of this one. */
  holdsForAll(): boolean {
    return this.batchable && [...this.versions].every(([x, version]) => !x.freed && x.storage.version === version);
  }

  /** Those steps that the results depend on. */
  needed(results: Iterable<Tensor>): Step[] {
    const read = new Set(results);
    const found = this.steps
      .slice()
      .reverse()
      .filter((step) => {
        if (!step.outs.some((y) => read.has(y))) return false;
        for (const x of 'stopped' in step ? [step.stopped] : step.ins) read.add(x);
        return true;
      });
    return found.reverse();
  }
}

/** Runs steps for all examples. @param batch the tensors of the batch by those of the example; what is made is added */
function replay(steps: readonly Step[], batch: Map<Tensor, Tensor>, n: number): void {
  for (const step of steps) {
    if ('stopped' in step) {
      batch.set(step.outs[0], stopGradient(batch.get(step.stopped)!));
      continue;
    }
    const ins = step.ins.map((x) => ({ x: batch.get(x) ?? x, shape: x.shape, batched: batch.has(x) }));
    const outs = batched(step.kernel, ins, step.attrs, n);
    step.outs.forEach((y, i) => {
      batch.set(y, outs[i]);
    });
  }
}

// ----- vmap -----------------------------------------------------------------------------------------------------------

/**
 * From f of one example to a function of a batch: vmap(f)(x)[b] = f(x[b]). Arguments and results may be trees, and every leaf has the
 * axis of the batch; what all examples share is a variable that f closes over, or a parameter of an enclosing `grad`. Gradients go
 * through it, in any order: `vmap(grad(f))` gives the gradient of each example, `grad` of `sum(vmap(f)(x))` their sum.
 *
 * f runs on the first example, and the kernels it called run on the whole batch by their batching rules (batching.ts). A kernel without one
 * runs once for each example. If f reads a value of the example (`item`, `readSync`), calls an op of `defineOp`, or changes or frees a tensor
 * that a kernel has read, then f itself runs once for each example, because it may do something else there. Otherwise f must depend on its
 * arguments alone: a random number that it draws is the same for all examples.
 * @throws ShapeError if an argument lacks the axis, sizes on it differ, or there is no example
 * @see `jax.vmap`
 */
export function vmap<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  options: VmapOptions = {},
): (...args: A) => Y {
  checkOptions('vmap', options, ['inAxes', 'outAxes']);
  const { inAxes = 0, outAxes = 0 } = options;
  // biome-ignore lint/plugin: the parameters of one function
  const call = (args: A) => f(...args);
  return (...args) =>
    scope(() => {
      const n = batchSize(args, inAxes);
      const inputs = mapTree(args, (x) => moveAxis(x, fromEnd(inAxes, x.rank), 0)) as unknown as A;
      const batch = new Map<Tensor, Tensor>();
      const exampleOf = (b: number) => mapTree(inputs, (x) => example(x, b)) as unknown as A;
      const first = exampleOf(0);
      const [ones, alls] = [leaves(first), leaves(inputs)];
      ones.forEach(([, x], i) => {
        batch.set(x, alls[i][1]);
      });
      const program = new Program(batch.keys());
      const result = recording(program, () => call(first));
      if (n > 1 && program.holdsForAll()) {
        replay(program.needed(leaves(result).map(([, y]) => y)), batch, n);
        const ofAll = (y: Tensor) => batch.get(y) ?? stacked(Array(n).fill(y));
        return mapTree(result, (y) => toOutAxis(ofAll(y), outAxes)) as unknown as Y;
      }
      const others = Array.from({ length: n - 1 }, (_, b) => call(exampleOf(b + 1)));
      // biome-ignore lint/plugin: one tree for each example
      return treeMap((...ys) => toOutAxis(stacked(ys), outAxes), result, ...others) as unknown as Y;
    });
}
