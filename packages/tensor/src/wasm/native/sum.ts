/** @file Sums; see assembly/sum.ts. */
import type { Operand } from '../../backend.ts';
import { sizeOf } from '../../shape.ts';
import { address, type Machine } from '../machine.ts';
import type { Native } from './call.ts';

/** Sums over one run of neighbouring axes, as [outer, summed, inner]. */
const sum: Native<'sum'> = (m, [y], [x], { axes }) => {
  const rank = x.shape.length;
  const sorted = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (sorted.some((a, i) => a !== sorted[0] + i)) return false;
  const first = sorted.length === 0 ? rank : sorted[0];
  const last = first + sorted.length;
  const outer = sizeOf(x.shape.slice(0, first));
  const n = sizeOf(x.shape.slice(first, last));
  const inner = sizeOf(x.shape.slice(last));
  if (outer === 1 && inner === 1) return sumAll(m, y, x, n, 0);
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = outer;
  ints[3] = n;
  ints[4] = inner;
  m.call(inner === 1 ? 'sumLast' : 'sumMiddle', outer * n * inner * 0.4);
  return true;
};

function sumAll(m: Machine, y: Operand, x: Operand, n: number, squares: 0 | 1): boolean {
  const chunks = Math.ceil(n / 16384);
  m.withTemporary(chunks * 8, (partials) => {
    const { ints } = m;
    ints[0] = partials;
    ints[1] = address(x);
    ints[2] = n;
    ints[3] = squares;
    m.call('sumChunks', n * 0.25);
    ints[0] = address(y);
    ints[1] = partials;
    ints[2] = chunks;
    m.call('sumPartials', 0);
  });
  return true;
}

const sumSquares: Native<'sumSquares'> = (m, [y], [x]) => sumAll(m, y, x, sizeOf(x.shape), 1);

export const sums = { sum, sumSquares };
