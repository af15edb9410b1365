/** @file Interval attention; see assembly/attention/forward.ts and assembly/attention/backward.ts. */
import type { Operand } from '../../backend.ts';
import type { AttentionAttrs } from '../../contract.ts';
import * as args from '../arguments/attention.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding } from './binding.ts';

/** The scratch of a thread holds heads up to this wide. */
const WIDEST_HEAD = 512;

/** The arguments that both passes take: the inputs of the forward pass, its outputs, and the sizes. */
function writeShared(
  { ints, floats }: WasmRuntime,
  [q, k, v, lo, hi, out, lse]: readonly Operand[],
  { heads, kvHeads, scale }: AttentionAttrs,
): void {
  const [n, width] = q.shape;
  ints[args.q] = address(q);
  ints[args.k] = address(k);
  ints[args.v] = address(v);
  ints[args.lo] = address(lo);
  ints[args.hi] = address(hi);
  ints[args.out] = address(out);
  ints[args.lse] = address(lse);
  ints[args.n] = n;
  ints[args.heads] = heads;
  ints[args.kvHeads] = kvHeads;
  ints[args.headDim] = width / heads;
  floats[args.scale] = scale;
}

const intervalAttention: Binding<'intervalAttention'> = (runtime, outs, ins, a) => {
  const [n, width] = ins[0].shape;
  if (width / a.heads > WIDEST_HEAD) return false;
  writeShared(runtime, [...ins, ...outs], a);
  const { intervalAttention, invariantAttention } = runtime.kernels;
  // A row alone is faster without blocks.
  runtime.call(a.batchInvariant || n === 1 ? invariantAttention : intervalAttention, a.pairs * width * 0.12);
  return true;
};

const intervalAttentionBackward: Binding<'intervalAttentionBackward'> = (runtime, [dq, dk, dv], ins, a) => {
  const [q, k, , lo, hi, , , g] = ins;
  const [n, width] = q.shape;
  if (width / a.heads > WIDEST_HEAD) return false;
  runtime.withTemporary((n + 2) * 4, (starts) => {
    const { ints, kernels } = runtime;
    writeShared(runtime, ins, a);
    ints[args.dq] = address(dq);
    ints[args.dk] = address(dk);
    ints[args.dv] = address(dv);
    ints[args.g] = address(g);
    ints[args.m] = k.shape[0];
    ints[args.starts] = starts;
    ints[args.segments] = kernels.findSegments(address(lo), address(hi), n, starts);
    runtime.call(kernels.intervalAttentionBackward, a.pairs * width * 0.25);
  });
  return true;
};

export const attentionBindings = { intervalAttention, intervalAttentionBackward };
