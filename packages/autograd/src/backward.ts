/**
 * @file The backward pass. The cotangent of a tensor x is d result / dx. The pass walks the tape from the last node to the first. At each
 * node it knows g, the cotangent of the node's output. It applies the rule of the kernel to g, and adds what the rule gives to the
 * cotangents of the inputs.
 * `backward` is the whole algorithm; the rest of the file is one step of it.
 */
import { donating, type KernelAttrs, type KernelName, ones, scope, type Tensor } from '@blt-ts/tensor';
import { type Contribution, Cotangents, dense } from './cotangents.ts';
import { add, mul } from './ops/elementwise.ts';
import { sum } from './ops/reduce.ts';
import { reshape } from './ops/shape.ts';
import { Rematerialized } from './remat.ts';
import type { Cotangent } from './row-sparse.ts';
import { type Fused, type Rule, rules } from './rules.ts';
import {
  type CheckpointNode,
  checkVersion,
  isRecording,
  type KernelNode,
  type OwnNode,
  recording,
  Tape,
} from './tape.ts';

/**
 * The cotangents d(result . seed) / dx of all tensors x that the nodes of `tape` did not make. Among them are those that the gradient
 * is taken with respect to. Activations and cotangents are freed as soon as no later rule reads them, so that the tape is empty afterwards.
 * @param result a tensor made under the tape   @param seed its cotangent, of its shape; ones for a gradient
 * @param keepAlive tensors to leave in memory
 */
export function backward(tape: Tape, result: Tensor, seed: Tensor, keepAlive: ReadonlySet<Tensor>): Cotangents {
  const cotangents = new Cotangents(keepAlive);
  const remat = new Rematerialized(tape);
  cotangents.add([{ x: result, cotangent: seed, needed: true }]);
  for (let node = tape.nodes.pop(); node !== undefined; node = tape.nodes.pop()) {
    const [y] = node.outs;
    remat.free(y);
    const g = cotangentOf(node, cotangents);
    // Without a cotangent the result does not depend on this node.
    if (g) {
      const contributions =
        'recompute' in node ? rerun(node, dense(g), tape) : applyRule(node, g, tape, cotangents, remat);
      cotangents.add(contributions);
      for (const out of node.outs) cotangents.remove(out);
    }
    freeActivations(node, cotangents, remat);
  }
  return cotangents;
}

/**
 * The cotangent of the one output of a node that the result depends on; undefined if it depends on none.
 * @throws Error if it depends on a later output of a kernel whose rule differentiates the first one alone
 */
function cotangentOf(node: KernelNode | OwnNode | CheckpointNode, cotangents: Cotangents): Cotangent | undefined {
  const [first, ...others] = node.outs.map((y) => cotangents.get(y));
  const other = others.find((c) => c !== undefined);
  if (other && 'kernel' in node && rules[node.kernel].firstOutputOnly) {
    throw new Error(`${node.kernel}: ${rules[node.kernel].firstOutputOnly}`);
  }
  return first ?? other;
}

/** The contributions of one call to the cotangents of its inputs, by the rule of the kernel or the call's own. */
function applyRule(
  node: KernelNode | OwnNode,
  g: Cotangent,
  tape: Tape,
  cotangents: Cotangents,
  remat: Rematerialized,
): Contribution[] {
  const { outs } = node;
  const needs = node.ins.map((x) => tape.depends(x));
  const ins = remat.inputs(node);
  const contributions = (rule: () => readonly (Cotangent | null)[]): Contribution[] =>
    scope(rule).flatMap((cotangent, i) => (cotangent ? [{ x: node.ins[i], cotangent, needed: needs[i] }] : []));
  if ('rule' in node) {
    // Whoever wrote this rule does not know that a kernel may write over what is donated to it, and may hand on what is not its own to give.
    const fresh = (dx: Tensor | null) => dx && reshape(dx, dx.shape);
    return contributions(() => node.rule.vjp(dense(g), { ins, outs, needs }).map(fresh));
  }
  const { kernel, attrs } = node;
  const { vjp, fused } = rules[kernel] as Rule<typeof kernel>;
  if (fused) {
    return contributions(() => {
      const given = outs.map((y) => cotangents.get(y)).map((c) => c && dense(c));
      return throughDefinition(fused, ins, attrs as never, given);
    });
  }
  // Nothing reads these after the rule, which may free them or write over them.
  const donated = isRecording() ? [] : node.lastReads.map((i) => ins[i]).filter((x) => cotangents.mayFree(x));
  if (cotangents.isDonatable(g)) donated.push(g);
  return contributions(() => donating(donated, () => vjp(dense(g), { ins, outs, attrs: attrs as never, needs })));
}

/**
 * The cotangents of the inputs of a kernel that computes the gradients of a fused operation, from those of its outputs: with the
 * definition y(x) of the operation, d/d(x, c) of sum over i of u_i . (c . dy/dx_i), where c is the cotangent of y and u_i are `given`.
 */
function throughDefinition<K extends KernelName>(
  { definition, variables, cotangent }: Fused<K>,
  ins: readonly Tensor[],
  attrs: KernelAttrs[K],
  given: readonly (Tensor | undefined)[],
): (Tensor | null)[] {
  const fresh = (x: Tensor) => reshape(x, x.shape);
  const wanted = [...variables, cotangent];
  const outer = newTape();
  // Fresh tensors over the same storages, because two inputs may be one tensor.
  const all = ins.map((x, i) => (wanted.includes(i) ? fresh(x) : x));
  for (const i of wanted) outer.tracked.add(all[i]);
  const result = recording(outer, () => {
    const inner = newTape();
    const inputs = all.map((x, i) => (variables.includes(i) ? fresh(x) : x));
    for (const i of variables) inner.tracked.add(inputs[i]);
    const y = recording(inner, () => definition(inputs, attrs));
    const gradients = backward(inner, y, all[cotangent], new Set([...all, ...inputs]));
    const terms = variables.flatMap((input, i) => {
      const [u, d] = [given[i], gradients.get(inputs[input])];
      return u && d ? [sum(mul(u, dense(d)))] : [];
    });
    return terms.length === 0 ? null : terms.reduce((a, b) => add(a, b));
  });
  if (result === null || !outer.depends(result)) return [];
  const read = new Set([...all, ...given.flatMap((u) => u ?? [])]);
  const found = backward(outer, result, ones([], { backend: result.backend }), read);
  return ins.map((_, i) => {
    const c = wanted.includes(i) ? found.get(all[i]) : undefined;
    return c ? dense(c) : null;
  });
}

/** The contributions of a checkpointed function: it runs again under a tape of its own, which is walked back at once. */
function rerun({ recompute, inputs }: CheckpointNode, g: Tensor, outer: Tape): Contribution[] {
  for (const [x, version] of inputs) checkVersion(x, version, 'recompute');
  return scope(() => {
    const tape = newTape();
    for (const x of outer.tracked) tape.tracked.add(x);
    const result = recording(tape, recompute);
    const cotangents = backward(tape, result, g, new Set([...outer.tracked, g]));
    return [...cotangents.entries()]
      .filter(([x]) => outer.depends(x))
      .map(([x, cotangent]) => ({ x, cotangent, needed: true }));
  });
}

/** Frees the values that were kept for the rule of `node`, and its outputs: the nodes that read those come later on the tape. */
function freeActivations(
  node: KernelNode | OwnNode | CheckpointNode,
  cotangents: Cotangents,
  remat: Rematerialized,
): void {
  if ('lastReads' in node) {
    for (const i of node.lastReads) {
      remat.free(node.ins[i]);
      cotangents.free(node.ins[i]);
    }
  }
  for (const y of node.outs) cotangents.free(y);
}

/** A tape that keeps the values which the rules read. */
export const newTape = (rematAboveBytes?: number): Tape => new Tape((kernel) => rules[kernel], rematAboveBytes);
