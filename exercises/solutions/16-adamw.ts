/** @file A solution of exercise 16. */

export interface State {
  readonly w: number;
  readonly m: number;
  readonly v: number;
}

export function adamwStep(state: State, g: number, t: number, lr: number): State {
  const [beta1, beta2, eps, decay] = [0.9, 0.95, 1e-8, 0.1];
  const m = beta1 * state.m + (1 - beta1) * g;
  const v = beta2 * state.v + (1 - beta2) * g * g;
  const step = m / (1 - beta1 ** t) / (Math.sqrt(v / (1 - beta2 ** t)) + eps);
  return { w: state.w - lr * decay * state.w - lr * step, m, v };
}
