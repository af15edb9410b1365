import {
  checkOptions,
  describe,
  donating,
  forEachTensor,
  isPinned,
  isSavedForBackward,
  ones,
  release,
  run,
  ShapeError,
  scope,
  Tensor,
  zeros,
} from '@blt-ts/tensor';
import { add } from './ops/elementwise.ts';
import { reshape } from './ops/shape.ts';
import { RowSparse } from './row-sparse.ts';
import type { Cotangent, Rule } from './rule.ts';
import { rules } from './rules.ts';
import { checkVersion, isRecording, type RecomputedNode, readUnrecorded, recording, Tape, unwatched } from './tape.ts';
import { leaves, mapTree, type Tree, type TreeOf } from './tree.ts';

/** The same values, cut off from the gradient: a constant to every tape. */
export function stopGradient(x: Tensor): Tensor {
  const [y] = unwatched(() => run('reshape', [x], { shape: x.shape }));
  readUnrecorded(x, y);
  return y;
}

export interface Loss<A> {
  /** What is differentiated: one element. */
  loss: Tensor;
  /** Anything else to hand out of the function. */
  aux: A;
}

const plus = (a: Cotangent, b: Cotangent): Cotangent => {
  if (a instanceof RowSparse && b instanceof RowSparse) return a.plus(b);
  return add(a instanceof RowSparse ? a.toDense() : a, b instanceof RowSparse ? b.toDense() : b);
};

const tensorsOf = (c: Cotangent): Tensor[] => (c instanceof Tensor ? [c] : c.parts.map((p) => p.rows));

/**
 * Walks the tape back from `result` and returns the cotangents of `wanted`.
 * Activations and cotangents are freed as soon as they have been used, but for what an outer tape will read.
 */
function backward(
  tape: Tape,
  result: Tensor,
  cotangent: Tensor,
  wanted: ReadonlySet<Tensor>,
  keepAlive: ReadonlySet<Tensor>,
): Map<Tensor, Cotangent> {
  const mayFree = (t: Tensor) => !keepAlive.has(t) && !isSavedForBackward(t) && !isPinned(t);
  const free = (t: Tensor) => {
    if (mayFree(t)) release(t);
  };
  const cotangents = new Map<Tensor, Cotangent>();
  // How many slots of `cotangents` hold a tensor: rules may pass one tensor on to several inputs.
  const uses = new Map<Tensor, number>();
  const drop = (c: Cotangent) => {
    for (const t of tensorsOf(c)) {
      const left = uses.get(t)! - 1;
      if (left > 0) uses.set(t, left);
      else {
        uses.delete(t);
        free(t);
      }
    }
  };
  const put = (x: Tensor, c: Cotangent) => {
    const before = cotangents.get(x);
    const going =
      before instanceof Tensor && uses.get(before) === 1 && mayFree(before) && !isRecording() ? [before] : [];
    const after = before ? scope(() => donating(going, () => plus(before, c))) : c;
    for (const t of tensorsOf(after)) uses.set(t, (uses.get(t) ?? 0) + 1);
    cotangents.set(x, after);
    if (before) drop(before);
  };
  /** All are counted before the first is put: a sum may free its operands, and one tensor may be there for several inputs. */
  const putAll = (fresh: readonly (readonly [Tensor, Cotangent])[]) => {
    for (const [, c] of fresh) for (const t of tensorsOf(c)) uses.set(t, (uses.get(t) ?? 0) + 1);
    for (const [x, c] of fresh) put(x, c);
    for (const [, c] of fresh) drop(c);
  };
  put(result, cotangent);

  for (let node = tape.nodes.pop(); node !== undefined; node = tape.nodes.pop()) {
    const { outs } = node;
    const side = outs.findIndex((y, i) => i > 0 && cotangents.has(y));
    if (side > 0 && 'kernel' in node && node.kernel === 'intervalAttention') {
      throw new Error('intervalAttention: its log-sum-exp has no gradient; only its first output has');
    }
    // The other kernels with several outputs are backward ones, whose rules refuse.
    const g = cotangents.get(outs[0]) ?? cotangents.get(outs[side]);
    tape.forget(outs[0]);
    if (g && 'recompute' in node) {
      putAll(rerun(tape, node, g instanceof RowSparse ? g.toDense() : g));
      if (!wanted.has(outs[0])) {
        cotangents.delete(outs[0]);
        drop(g);
      }
    } else if (g && 'kernel' in node) {
      const { kernel, ins, attrs } = node;
      const needs = ins.map((x) => tape.tracked.has(x));
      const rule = rules[kernel] as Rule<typeof kernel>;
      const values = tape.inputs(node);
      const pass = () => rule(g instanceof RowSparse ? g.toDense() : g, outs, values, attrs as never, needs);
      const last = g instanceof Tensor && uses.get(g) === 1 && !wanted.has(outs[0]) && mayFree(g) && !isRecording();
      const going = isRecording() ? [] : node.lastToRead.map((i) => values[i]).filter(mayFree);
      if (last) going.push(g);
      const found = scope(() => donating(going, pass));
      putAll(found.flatMap((c, i): [Tensor, Cotangent][] => (c && needs[i] ? [[ins[i], c]] : [])));
      found.forEach((c, i) => {
        if (c && !needs[i]) for (const t of tensorsOf(c)) if (!uses.has(t) && t !== g) free(t);
      });
      if (!wanted.has(outs[0])) {
        cotangents.delete(outs[0]);
        drop(g);
      }
    }
    if ('kernel' in node) {
      for (const i of node.lastToRead) {
        tape.forget(node.ins[i]);
        free(node.ins[i]);
      }
    }
    for (const y of outs) free(y);
  }
  return cotangents;
}

/** Runs a function again, with a tape of its own, and returns the cotangents of what it took from outside. */
function rerun(outer: Tape, { recompute, inputs }: RecomputedNode, g: Tensor): [Tensor, Cotangent][] {
  for (const [x, version] of inputs) checkVersion(x, version, 'recompute');
  return scope(() => {
    const tape = newTape();
    for (const x of outer.tracked) tape.tracked.add(x);
    const result = recording(tape, recompute);
    const cotangents = backward(tape, result, g, outer.tracked, new Set([...outer.tracked, g]));
    return [...cotangents].filter(([x]) => outer.tracked.has(x));
  });
}

const newTape = (spareFrom?: number): Tape => new Tape((kernel) => rules[kernel].reads, spareFrom);

export interface GradOptions {
  /** Give the gradients of big tables as `RowSparse`: only the rows that were read. */
  sparse?: boolean;
  /**
   * From so many bytes of tensors in use on (default 2^28), results that cost little are computed again on the way back instead of
   * kept: in model S that saves 16% of the memory for 2 to 4% of the time. The bits are the same.
   */
  spareFrom?: number;
}

type Gradient<S> = S extends true ? Cotangent : Tensor;

/**
 * From f, a function of a tree of parameters with one number as result, to a function that returns this number (`value`), its
 * gradient with respect to every tensor of the tree (`grads`, a tree of the same form), and whatever else f handed out (`aux`).
 * Reverse mode: one pass forward, one pass back. Everything made on the way is freed before it returns.
 * @throws ShapeError if the result of f has more than one element, TypeError if it is no tensor, Error if f makes constants of values
 *   that depend on the parameters (readSync, run) or changes values in place that the way back reads
 */
export function valueAndGrad<P extends Tree, A = undefined, S extends boolean = false>(
  f: (params: P) => Tensor | Loss<A>,
  options: GradOptions & { sparse?: S } = {},
): (params: P, ...none: never[]) => { value: Tensor; grads: TreeOf<P, Gradient<S>>; aux: A } {
  checkOptions('valueAndGrad', options, ['sparse', 'spareFrom']);
  return (params, ...more) => {
    checkAlone('valueAndGrad', more);
    return scope(() => {
      const tape = newTape(options.spareFrom);
      // Fresh tensors over the same storage: the one differentiated here is told apart from the same tensor used as a constant.
      const inputs = mapTree(params, (leaf) => reshape(leaf, leaf.shape)) as unknown as P;
      const wanted = new Set(leaves(inputs).map(([, leaf]) => leaf));
      for (const leaf of wanted) tape.tracked.add(leaf);
      const result = recording(tape, () => f(inputs));
      const given = result instanceof Tensor ? { loss: result, aux: undefined as A } : result;
      if (!(given?.loss instanceof Tensor)) {
        const got = (result as unknown) instanceof Promise ? 'a promise; make it synchronous' : describe(result);
        throw new TypeError(`grad: the function must return a tensor, or { loss, aux }; got ${got}`);
      }
      const { loss, aux } = given;
      if (loss.size !== 1) {
        throw new ShapeError(`grad: the function must return one number, got shape [${loss.shape}]; sum or average it`);
      }
      const keepAlive = new Set<Tensor>([loss, ...wanted]);
      forEachTensor(aux, (t) => keepAlive.add(t));
      const cotangents = backward(tape, loss, ones(loss.shape, { backend: loss.backend }), wanted, keepAlive);
      const handedOut = new Set<Tensor>();
      const grads = mapTree(inputs, (leaf) => {
        const c = cotangents.get(leaf) ?? zeros(leaf.shape, { backend: leaf.backend });
        if (c instanceof RowSparse) return options.sparse ? c : c.toDense();
        // One tensor may be the gradient of two parameters: whoever releases one keeps the other.
        if (handedOut.has(c)) return reshape(c, c.shape);
        handedOut.add(c);
        return c;
      }) as TreeOf<P, Gradient<S>>;
      return { value: loss, grads, aux };
    });
  };
}

/** @throws TypeError for arguments beyond the tree of parameters, whose gradients nobody would get */
function checkAlone(op: string, more: readonly unknown[]): void {
  if (more.length === 0) return;
  throw new TypeError(
    `${op}: the function it returns takes one tree of parameters, got ${1 + more.length} arguments; put them together: ${op}(([x, y]) => ...)([x, y])`,
  );
}

/** From f to its gradient: see `valueAndGrad`. `grad(grad(f))` is the second derivative. */
export function grad<P extends Tree>(f: (params: P) => Tensor): (params: P, ...none: never[]) => TreeOf<P, Tensor> {
  return (params, ...more) => {
    checkAlone('grad', more);
    return scope(() => valueAndGrad(f)(params).grads);
  };
}
