/** @file The tables of cosines and sines that rotary positions are made with. */
import { type Backend, keep, naturalCos, naturalExp, naturalLog, naturalSin, tensor } from '@blt-ts/tensor';
import type { RopeTable } from './rope.ts';

const ropeTables = new WeakMap<Backend, Map<string, RopeTable>>();

/**
 * cos and sin of position * theta^(-2j/headDim), each [at least positions, headDim/2], for `rope`. The table is kept per backend,
 * theta and headDim, and grown in powers of two.
 * The angle is rounded to float32 where the reference implementations do so.
 * Powers of theta are e^(x ln theta). No function of Math is used, because engines differ in their last bits.
 * @param theta 10000 in Su et al. 2021   @param headDim an even number
 * @throws RangeError for another headDim
 * @see Su et al. 2021, eq. 15 and 34
 */
export function ropeTable(backend: Backend, theta: number, headDim: number, positions: number): RopeTable {
  const even = headDim > 0 && headDim % 2 === 0;
  if (!even) throw new RangeError(`ropeTable: headDim must be an even number above 0, got ${headDim}`);
  let tables = ropeTables.get(backend);
  if (!tables) ropeTables.set(backend, (tables = new Map()));
  const key = `${theta}/${headDim}`;
  const known = tables.get(key);
  if (known && known.cos.shape[0] >= positions) return known;
  const rows = 2 ** Math.ceil(Math.log2(Math.max(64, positions)));
  const half = headDim / 2;
  const cos = new Float32Array(rows * half);
  const sin = new Float32Array(rows * half);
  for (let j = 0; j < half; j++) {
    const frequency = Math.fround(1 / Math.fround(naturalExp(Math.fround((2 * j) / headDim) * naturalLog(theta))));
    for (let p = 0; p < rows; p++) {
      const angle = Math.fround(p * frequency);
      cos[p * half + j] = naturalCos(angle);
      sin[p * half + j] = naturalSin(angle);
    }
  }
  const table = {
    cos: keep(tensor(cos, [rows, half], { backend })),
    sin: keep(tensor(sin, [rows, half], { backend })),
  };
  tables.set(key, table);
  return table;
}
