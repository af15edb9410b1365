/** @file AdamW and the moving average, in place; see assembly/optimizer.ts. */
import type { AdamWAttrs } from '../../contract.ts';
import { integerPower } from '../../numerics/integer-power.ts';
import { sizeOf } from '../../shape.ts';
import * as args from '../arguments/optimizer.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding } from './binding.ts';

/** The scalars of an update. */
function writeScalars({ floats }: WasmRuntime, { lr, beta1, beta2, eps, weightDecay, step }: AdamWAttrs): void {
  floats[args.beta1] = beta1;
  floats[args.rest1] = 1 - beta1;
  floats[args.beta2] = beta2;
  floats[args.rest2] = 1 - beta2;
  floats[args.rate] = lr / (1 - integerPower(beta1, step));
  floats[args.correction] = 1 / (1 - integerPower(beta2, step));
  floats[args.eps] = eps;
  floats[args.decay] = 1 - lr * weightDecay;
}

const adamw: Binding<'adamw'> = (runtime, _, [p, m, v, g, gradScale], attrs) => {
  const { ints, kernels } = runtime;
  const n = sizeOf(p.shape);
  ints[args.p] = address(p);
  ints[args.m] = address(m);
  ints[args.v] = address(v);
  ints[args.g] = address(g);
  ints[args.gradScale] = address(gradScale);
  ints[args.n] = n;
  writeScalars(runtime, attrs);
  runtime.call(kernels.adamw, n * 0.7);
  return true;
};

const adamwRows: Binding<'adamwRows'> = (runtime, _, [p, m, v, ids, g, gradScale], attrs) => {
  const { ints, kernels } = runtime;
  const [rows, C] = g.shape;
  ints[args.p] = address(p);
  ints[args.m] = address(m);
  ints[args.v] = address(v);
  ints[args.ids] = address(ids);
  ints[args.g] = address(g);
  ints[args.gradScale] = address(gradScale);
  ints[args.rows] = rows;
  ints[args.C] = C;
  writeScalars(runtime, attrs);
  runtime.call(kernels.adamwRows, rows * C * 1.5);
  return true;
};

const adamwCatchUp: Binding<'adamwCatchUp'> = (runtime, _, [p, m, v, ids, factors]) => {
  const { ints, kernels } = runtime;
  const rows = ids.shape[0];
  const C = p.shape[1];
  ints[args.p] = address(p);
  ints[args.m] = address(m);
  ints[args.v] = address(v);
  ints[args.ids] = address(ids);
  ints[args.factors] = address(factors);
  ints[args.rows] = rows;
  ints[args.C] = C;
  runtime.call(kernels.adamwCatchUp, rows * C * 4);
  return true;
};

const lerp: Binding<'lerp'> = (runtime, _, [a, b], { weight }) => {
  const { ints, floats, kernels } = runtime;
  const n = sizeOf(a.shape);
  ints[args.a] = address(a);
  ints[args.b] = address(b);
  ints[args.n] = n;
  floats[args.weight] = weight;
  runtime.call(kernels.lerp, n * 0.3);
  return true;
};

export const optimizerBindings = { adamw, adamwRows, adamwCatchUp, lerp };
