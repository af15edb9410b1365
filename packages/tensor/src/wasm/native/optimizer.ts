/** @file AdamW and moving averages, in place; see assembly/optimizer.ts. */
import type { AdamWAttrs } from '../../contract.ts';
import { integerPower } from '../../integer-power.ts';
import { sizeOf } from '../../shape.ts';
import type { Machine } from '../machine.ts';
import { type Native, put } from './call.ts';

/** adamw's scalars from argument `at` on; in the order of `update` there. */
function putAdamW(m: Machine, at: number, a: AdamWAttrs): void {
  const { floats } = m;
  floats[at] = a.beta1;
  floats[at + 1] = 1 - a.beta1;
  floats[at + 2] = a.beta2;
  floats[at + 3] = 1 - a.beta2;
  floats[at + 4] = a.lr / (1 - integerPower(a.beta1, a.step));
  floats[at + 5] = 1 / (1 - integerPower(a.beta2, a.step));
  floats[at + 6] = a.eps;
  floats[at + 7] = 1 - a.lr * a.weightDecay;
}

const adamw: Native<'adamw'> = (m, _, [p, mm, v, g, scale], attrs) => {
  const n = sizeOf(p.shape);
  putAdamW(m, put(m, [p, mm, v, g, scale], [n]), attrs);
  m.call('adamw', n * 0.7);
  return true;
};

const adamwRows: Native<'adamwRows'> = (m, _, ins, attrs) => {
  const [U, C] = ins[4].shape;
  putAdamW(m, put(m, ins, [U, C]), attrs);
  m.call('adamwRows', U * C * 1.5);
  return true;
};

const adamwCatchUp: Native<'adamwCatchUp'> = (m, _, ins) => {
  const U = ins[3].shape[0];
  const C = ins[0].shape[1];
  put(m, ins, [U, C]);
  m.call('adamwCatchUp', U * C * 4);
  return true;
};

const lerp: Native<'lerp'> = (m, _, [a, b], { weight }) => {
  const n = sizeOf(a.shape);
  put(m, [a, b], [n]);
  m.floats[3] = weight;
  m.call('lerp', n * 0.3);
  return true;
};

export const optimizer = { adamw, adamwRows, adamwCatchUp, lerp };
