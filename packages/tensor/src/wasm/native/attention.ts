/** @file Interval attention; see assembly/attention.ts and assembly/attention-backward.ts. */
import { address } from '../machine.ts';
import { type Native, put } from './call.ts';

/** The scratch of a thread holds heads up to this wide. */
const WIDEST_HEAD = 512;

const intervalAttention: Native<'intervalAttention'> = (m, [out, lse], [q, k, v, lo, hi], a) => {
  const [n, width] = q.shape;
  const D = width / a.heads;
  if (D > WIDEST_HEAD) return false;
  const at = put(m, [out, lse, q, k, v, lo, hi], [n, a.heads, a.kvHeads, D]);
  m.floats[at] = a.scale;
  m.call('intervalAttention', a.pairs * width * 0.12);
  return true;
};

const intervalAttentionBackward: Native<'intervalAttentionBackward'> = (m, outs, ins, a) => {
  const [q, k, , lo, hi] = ins;
  const [n, width] = q.shape;
  const D = width / a.heads;
  if (D > WIDEST_HEAD) return false;
  m.withTemporary((n + 2) * 4, (starts) => {
    const segments = m.direct('findSegments', address(lo), address(hi), n, starts);
    const at = put(m, [...outs, ...ins], [n, k.shape[0], a.heads, a.kvHeads, D]);
    m.floats[at] = a.scale;
    m.ints[at + 1] = starts;
    m.ints[at + 2] = segments;
    m.call('intervalAttentionBackward', a.pairs * width * 0.25);
  });
  return true;
};

export const attention = { intervalAttention, intervalAttentionBackward };
