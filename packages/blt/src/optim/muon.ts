/** @file Muon: momentum, made orthogonal. */
import { add, affine, div, matmul, sqrt, sub, sumSquares, transpose } from '@blt-ts/autograd';
import { checkOptions, full, run, type Tensor } from '@blt-ts/tensor';
import { checkConstants } from './adam.ts';
import { groupOf, type ParameterGroup } from './parameter-groups.ts';
import { overwriteWith, TreeOptimizer, type Updated } from './tree-optimizer.ts';

/** How `Muon` updates. */
export interface MuonOptions {
  /** Learning rate of a step that is given none. */
  readonly lr?: number;
  /** mu: share of the momentum that is kept (default 0.95). */
  readonly momentum?: number;
  /** Makes g + mu b orthogonal instead of b (default true). */
  readonly nesterov?: boolean;
  /** Steps of the Newton-Schulz iteration (default 5). */
  readonly iterations?: number;
  /** Per step a matrix shrinks by the factor 1 - lr weightDecay (default 0). */
  readonly weightDecay?: number;
  /** The AdamW of all other parameters: its rates, and `lrScale`, by which the learning rate of `step` is multiplied (default 1). */
  readonly adamw?: AdamWPart;
}

/** The AdamW beside Muon. */
interface AdamWPart {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  readonly lrScale?: number;
}

/** Coefficients of the iteration, chosen for speed: singular values end in 0.7 .. 1.2, not at 1. */
const [A, B, C] = [3.4445, -4.775, 2.0315];

/**
 * About the nearest orthogonal matrix to G [m,n], U V^T for G = U S V^T: X = G / |G|_F, then X = a X + (b X X^T + c (X X^T)^2) X. With
 * five iterations every singular value that is not far smaller than |G|_F ends between 0.7 and 1.2. A matrix of zeros stays.
 * @see Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
 */
export function orthogonalize(G: Tensor, iterations = 5): Tensor {
  const tall = G.shape[0] > G.shape[1];
  const wide = tall ? transpose(G) : G;
  let X = div(wide, affine(sqrt(sumSquares(wide)), 1, 1e-7));
  for (let i = 0; i < iterations; i++) {
    const S = matmul(X, X, { transposeB: true });
    X = add(affine(X, A), matmul(add(affine(S, B), affine(matmul(S, S), C)), X));
  }
  return tall ? transpose(X) : X;
}

/** The constants of Muon that an update needs. */
export type MuonConstants = Required<Pick<MuonOptions, 'momentum' | 'nesterov' | 'iterations'>>;

/** A matrix on its way through an update of Muon. */
export interface MuonMatrix {
  readonly p: Tensor;
  /** Its momentum. */
  readonly b: Tensor;
  readonly g: Tensor;
  readonly lr: number;
  readonly weightDecay: number;
}

/** One update of Muon: changes p and b in place. */
export function updateMatrix({ p, b, g, lr, weightDecay }: MuonMatrix, how: MuonConstants): void {
  const { momentum, nesterov, iterations } = how;
  overwriteWith(b, add(affine(b, momentum), g));
  const direction = orthogonalize(nesterov ? add(g, affine(b, momentum)) : b, iterations);
  const [m, n] = p.shape;
  overwriteWith(p, sub(affine(p, 1 - lr * weightDecay), affine(direction, lr * Math.sqrt(Math.max(1, m / n)))));
}

/** FLOPs of the matrix products of `orthogonalize` for a matrix of this shape: iterations (4 r^2 c + 2 r^3), r the shorter side and c the longer. */
export function orthogonalizeFlops([m, n]: readonly number[], iterations: number): number {
  const [r, c] = [Math.min(m, n), Math.max(m, n)];
  return iterations * (4 * r * r * c + 2 * r ** 3);
}

/**
 * Muon over any tree of parameters. For a matrix p [m,n] with the gradient g: b = mu b + g, and
 * p = p (1 - lr weightDecay) - lr sqrt(max(1, m / n)) O, where O is `orthogonalize(g + mu b)`, or of b without `nesterov`.
 * Parameters that are no matrices, and groups with `muon: false`, are updated by AdamW: embeddings and output layers should be.
 * Learning rates are those of the spectral norm, about 0.02, so that AdamW usually needs an `lrScale` of 0.1 or less.
 * @see Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
 */
export class Muon extends TreeOptimizer {
  private readonly options: Required<Omit<MuonOptions, 'lr' | 'adamw'>> & { readonly adamw: Required<AdamWPart> };

  /** @throws RangeError if momentum or a beta is not in [0, 1), iterations is no whole number from 1 on, or another number is negative */
  constructor(params: object, options: MuonOptions = {}, groups: readonly ParameterGroup[] = []) {
    checkOptions('Muon', options, ['lr', 'momentum', 'nesterov', 'iterations', 'weightDecay', 'adamw']);
    const { lr, momentum = 0.95, nesterov = true, iterations = 5, weightDecay = 0, adamw = {} } = options;
    checkOptions('Muon: adamw', adamw, ['beta1', 'beta2', 'eps', 'lrScale']);
    if (!(momentum >= 0 && momentum < 1)) throw new RangeError(`Muon: momentum must be in [0, 1), got ${momentum}`);
    if (!(Number.isInteger(iterations) && iterations >= 1)) {
      throw new RangeError(`Muon: iterations must be a whole number from 1 on, got ${iterations}`);
    }
    if (!(weightDecay >= 0)) throw new RangeError(`Muon: weightDecay must be 0 or more, got ${weightDecay}`);
    const { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, lrScale = 1 } = adamw;
    checkConstants('Muon: adamw', { beta1, beta2, eps, weightDecay });
    if (!(lrScale >= 0)) throw new RangeError(`Muon: adamw: lrScale must be 0 or more, got ${lrScale}`);
    const ofMuon = (name: string, p: Tensor) => isMatrix(p) && groupOf(groups, name).muon !== false;
    super('Muon', params, { lr, weightDecay }, groups, (name, p) => (ofMuon(name, p) ? ['momentum'] : ['m', 'v']));
    this.options = { momentum, nesterov, iterations, weightDecay, adamw: { beta1, beta2, eps, lrScale } };
  }

  protected updateOne(updated: Updated): void {
    const { name, p } = updated;
    if (isMatrix(p) && groupOf(this.groups, name).muon !== false) this.updateMatrix(updated);
    else this.updateByAdamW(updated);
  }

  private updateMatrix({ name, ...updated }: Updated): void {
    updateMatrix({ ...updated, b: this.buffer('momentum', name) }, this.options);
  }

  /**
   * `step` for matrices alone, whose work somebody else carries out, in any order: `updateMatrix` of each, with its gradient multiplied by
   * `scale`.
   * @throws as `step`, before anything is changed; what `carryOut` throws
   */
  async stepElsewhere(
    gradients: ReadonlyMap<string, Tensor>,
    lr: number,
    scale: Tensor,
    carryOut: (matrices: readonly MuonMatrix[], how: MuonConstants) => Promise<void>,
  ): Promise<void> {
    const all = this.checkedUpdates(gradients, lr, scale);
    const matrices = all.map(({ name, ...rest }) => ({
      ...rest,
      b: this.buffer('momentum', name),
      g: gradients.get(name)!,
    }));
    await carryOut(matrices, this.options);
    this.finishStep(gradients);
  }

  private updateByAdamW({ name, p, g, lr, weightDecay, step }: Updated): void {
    const { beta1, beta2, eps, lrScale } = this.options.adamw;
    const one = full([], 1, { backend: p.backend });
    const attrs = { beta1, beta2, eps, weightDecay, lr: lr * lrScale, step };
    run('adamw', [p, this.buffer('m', name), this.buffer('v', name), g, one], attrs);
  }
}

const isMatrix = (p: Tensor): boolean => p.rank === 2 && p.size > 0;
