/**
 * @file The backward pass. The cotangent of a tensor x is d result / dx. The pass walks the tape from the last node to the first. At each
 * node it knows g, the cotangent of the node's output. It applies the rule of the kernel to g, and adds what the rule gives to the
 * cotangents of the inputs.
 * `backward` is the whole algorithm; the rest of the file is one step of it.
 */
import { donating, scope, type Tensor } from '@blt-ts/tensor';
import { type Contribution, Cotangents, dense } from './cotangents.ts';
import { Rematerialized } from './remat.ts';
import type { Cotangent } from './row-sparse.ts';
import { type Rule, rules } from './rules.ts';
import { type CheckpointNode, checkVersion, isRecording, type KernelNode, recording, Tape } from './tape.ts';

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
        'kernel' in node ? applyRule(node, g, tape, cotangents, remat) : rerun(node, dense(g), tape);
      cotangents.add(contributions);
      cotangents.remove(y);
    }
    freeActivations(node, cotangents, remat);
  }
  return cotangents;
}

/**
 * The cotangent of the one output of a node that the result depends on; undefined if it depends on none.
 * @throws Error if it depends on a later output of a kernel whose rule differentiates the first one alone
 */
function cotangentOf(node: KernelNode | CheckpointNode, cotangents: Cotangents): Cotangent | undefined {
  const [first, ...others] = node.outs.map((y) => cotangents.get(y));
  const other = others.find((c) => c !== undefined);
  if (other && 'kernel' in node && rules[node.kernel].firstOutputOnly) {
    throw new Error(`${node.kernel}: ${rules[node.kernel].firstOutputOnly}`);
  }
  return first ?? other;
}

/** The contributions of one kernel call to the cotangents of its inputs, by its rule. */
function applyRule(
  node: KernelNode,
  g: Cotangent,
  tape: Tape,
  cotangents: Cotangents,
  remat: Rematerialized,
): Contribution[] {
  const { kernel, outs, attrs } = node;
  const { vjp } = rules[kernel] as Rule<typeof kernel>;
  const needs = node.ins.map((x) => tape.depends(x));
  const ins = remat.inputs(node);
  // Nothing reads these after the rule, which may free them or write over them.
  const donated = isRecording() ? [] : node.lastReads.map((i) => ins[i]).filter((x) => cotangents.mayFree(x));
  if (cotangents.isDonatable(g)) donated.push(g);
  const found = scope(() => donating(donated, () => vjp(dense(g), { ins, outs, attrs: attrs as never, needs })));
  return found.flatMap((cotangent, i) => (cotangent ? [{ x: node.ins[i], cotangent, needed: needs[i] }] : []));
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
function freeActivations(node: KernelNode | CheckpointNode, cotangents: Cotangents, remat: Rematerialized): void {
  if ('kernel' in node) {
    for (const i of node.lastReads) {
      remat.free(node.ins[i]);
      cotangents.free(node.ins[i]);
    }
  }
  for (const y of node.outs) cotangents.free(y);
}

/** A tape that keeps the values which the rules read. */
export const newTape = (rematAboveBytes?: number): Tape => new Tape((kernel) => rules[kernel], rematAboveBytes);
