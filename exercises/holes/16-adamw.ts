/**
 * @file Exercise 16: a step of AdamW. Moments m and v are running means of g and g^2. In update t = 1, 2, ... they are divided by 1 - beta^t, because
 * they began at 0. The weight first shrinks by lr * decay of itself, and then moves by lr * mHat / (sqrt(vHat) + eps).
 */
import { hole } from '../hole.ts';

/** One weight and its moments. */
export interface State {
  readonly w: number;
  readonly m: number;
  readonly v: number;
}

/** The state after update t with the gradient g. Use beta1 = 0.9, beta2 = 0.95, eps = 1e-8 and decay = 0.1. */
export function adamwStep(state: State, g: number, t: number, lr: number): State {
  return hole(state, g, t, lr);
}
