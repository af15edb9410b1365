/** @file One optimiser of two: Muon updates some matrices, AdamW everything else. */
import type { Tensor } from '@blt-ts/tensor';
import { AdamW, type AdamWOptions, type AdamWState } from './adamw.ts';
import { consumeGradients, type Gradient, type Gradients, namedGradients } from './gradients.ts';
import { Muon } from './muon.ts';
import { namedParameters } from './named-parameters.ts';
import { checkGroups, groupOf, type ParameterGroup } from './parameter-groups.ts';

/** The matrices that Muon updates, and how. */
export interface MuonPart {
  /** Beginnings of the names of its matrices. Parameters with these names that are no matrices stay with AdamW. */
  readonly prefixes: readonly string[];
  /** Peak learning rate. It is one of the spectral norm, so that it fits matrices of any width; 0.02 is usual. */
  readonly lr: number;
  /** Steps of the Newton-Schulz iteration. Three are enough for matrices of width 64 to 128, and five are usual. */
  readonly iterations: number;
}

/**
 * `AdamW`, row-sparse tables included, with `Muon` for the matrices of `part`. A matrix of Muon has one buffer where AdamW has two. Its
 * weight decay is that of its group, 0 unless given.
 */
export class AdamWWithMuon {
  private readonly adamw: AdamW;
  private readonly muon: Muon | null;
  private readonly matrices: ReadonlyMap<string, Tensor>;
  private readonly muonScale: number;

  /**
   * @param part null: AdamW updates everything
   * @param peakLr the highest rate that `step` will be given. Muon's rate follows it, and reaches that of `part` there.
   */
  constructor(
    params: object,
    options: AdamWOptions,
    groups: readonly ParameterGroup[],
    part: MuonPart | null,
    peakLr: number,
  ) {
    checkGroups('AdamWWithMuon', groups);
    const all = [...namedParameters('AdamWWithMuon', params)];
    const chosen = (name: string) =>
      part?.prefixes.some((prefix) => name.startsWith(prefix)) && groupOf(groups, name).muon !== false;
    this.matrices = new Map(all.filter(([name, p]) => chosen(name) && p.rank === 2));
    this.adamw = new AdamW(Object.fromEntries(all.filter(([name]) => !this.matrices.has(name))), options, groups);
    this.muon = part && new Muon(Object.fromEntries(this.matrices), { iterations: part.iterations }, groups);
    this.muonScale = part ? part.lr / peakLr : 0;
  }

  /** Updates done. */
  get stepsDone(): number {
    return this.adamw.stepsDone;
  }

  /** See `AdamW.catchUp`. */
  catchUp(name: string, ids: Int32Array): void {
    this.adamw.catchUp(name, ids);
  }

  /** See `AdamW.catchUpAll`. */
  catchUpAll(): void {
    this.adamw.catchUpAll();
  }

  /** One update of every parameter. See `AdamW.step`. */
  step(gradients: Gradients, lr: number, scaled: { readonly scale?: Tensor } = {}): void {
    const { ofMuon, rest } = this.divided(gradients);
    if (this.muon) this.adamw.checkStep(rest, scaled.scale);
    this.muon?.step(ofMuon, lr * this.muonScale, scaled);
    this.adamw.step(rest, lr, scaled);
    // Those of a tree too, of which the two parts have seen the named ones alone.
    consumeGradients('AdamWWithMuon', gradients);
  }

  /** `step`, with the matrices of Muon carried out elsewhere at the same time: see `Muon.stepElsewhere`. The bits are the same. */
  async stepBeside(
    gradients: ReadonlyMap<string, Gradient>,
    lr: number,
    scale: Tensor,
    carryOut: Parameters<Muon['stepElsewhere']>[3],
  ): Promise<void> {
    const { ofMuon, rest } = this.divided(gradients);
    const dense = new Map([...ofMuon].flatMap(([name, g]) => ('ids' in g ? [] : [[name, g] as const])));
    // Nobody lends the rows of a table.
    if (!this.muon || dense.size < ofMuon.size) return this.step(gradients, lr, { scale });
    this.adamw.checkStep(rest, scale);
    const muon = this.muon.stepElsewhere(dense, lr * this.muonScale, scale, carryOut);
    try {
      this.adamw.step(rest, lr, { scale });
    } finally {
      await muon;
    }
  }

  private divided(gradients: Gradients): { ofMuon: Map<string, Gradient>; rest: Map<string, Gradient> } {
    const ofMuon = new Map<string, Gradient>();
    const rest = new Map<string, Gradient>();
    for (const [name, g] of namedGradients('AdamWWithMuon', gradients)) {
      (this.matrices.has(name) ? ofMuon : rest).set(name, g);
    }
    return { ofMuon, rest };
  }

  /** The parameters as dense AdamW would have them, and Muon's matrices. See `AdamW.caughtUp`. */
  caughtUp(): Map<string, Tensor> {
    return new Map([...this.matrices, ...this.adamw.caughtUp()]);
  }

  /** Everything needed to go on, in AdamW's form. Muon's buffers are `momentum.<name>`. */
  state(): AdamWState<Tensor> {
    const { rates, tensors, rows } = this.adamw.state();
    return { rates, rows, tensors: new Map([...tensors, ...(this.muon?.state().tensors ?? [])]) };
  }

  /** Continues from a saved state. @throws Error naming the first tensor that is missing or of another size; nothing is changed then */
  restore(state: AdamWState<Float32Array>): void {
    this.adamw.checkState(state);
    this.muon?.restore({ step: state.rates.length, tensors: state.tensors });
    this.adamw.restore(state);
  }
}
