/**
 * @file Bookkeeping of the backward pass: the cotangents found so far, and the memory behind them. A rule may hand one tensor on to
 * several inputs, so each tensor is counted by the places that hold it and freed when the last one lets go of it.
 */
import { donating, isPinned, isSavedForBackward, release, scope, Tensor } from '@blt-ts/tensor';
import { add } from './ops/elementwise.ts';
import { type Cotangent, RowSparse } from './row-sparse.ts';
import { isRecording } from './tape.ts';

/** A cotangent as one tensor [V, C]; it is one already unless it is sparse. */
export const dense = (c: Cotangent): Tensor => (c instanceof RowSparse ? c.toDense() : c);

const sumOf = (a: Cotangent, b: Cotangent): Cotangent =>
  a instanceof RowSparse && b instanceof RowSparse ? a.plus(b) : add(dense(a), dense(b));

const tensorsOf = (c: Cotangent): Tensor[] => (c instanceof Tensor ? [c] : c.parts.map((part) => part.rows));

/** A cotangent that a rule found for `x`. Where nobody asks for it, it is only freed. */
export interface Contribution {
  readonly x: Tensor;
  readonly cotangent: Cotangent;
  readonly needed: boolean;
}

/** The cotangent of every tensor reached so far: the sum of the contributions of all its uses. */
export class Cotangents {
  private readonly found = new Map<Tensor, Cotangent>();
  /** Number of places that hold a tensor: entries of `found`, and contributions on their way there. */
  private readonly holders = new Map<Tensor, number>();
  private readonly keepAlive: ReadonlySet<Tensor>;

  /** @param keepAlive tensors that are never freed here */
  constructor(keepAlive: ReadonlySet<Tensor>) {
    this.keepAlive = keepAlive;
  }

  get(x: Tensor): Cotangent | undefined {
    return this.found.get(x);
  }

  entries(): Iterable<[Tensor, Cotangent]> {
    return this.found;
  }

  /** Adds each contribution to the cotangent of its tensor. */
  add(contributions: readonly Contribution[]): void {
    // All are counted before the first is added: a sum frees its operands, and one tensor may be there for several inputs.
    for (const { cotangent } of contributions) this.hold(cotangent);
    for (const { x, cotangent, needed } of contributions) if (needed) this.put(x, cotangent);
    for (const { cotangent } of contributions) this.drop(cotangent);
  }

  private put(x: Tensor, c: Cotangent): void {
    const before = this.found.get(x);
    const donated = before && this.isDonatable(before) ? tensorsOf(before) : [];
    const after = before ? scope(() => donating(donated, () => sumOf(before, c))) : c;
    this.hold(after);
    this.found.set(x, after);
    if (before) this.drop(before);
  }

  /** Forgets the cotangent of `x`, which the rule of its node has read. */
  remove(x: Tensor): void {
    const c = this.found.get(x);
    this.found.delete(x);
    if (c) this.drop(c);
  }

  private hold(c: Cotangent): void {
    for (const t of tensorsOf(c)) this.holders.set(t, (this.holders.get(t) ?? 0) + 1);
  }

  private drop(c: Cotangent): void {
    for (const t of tensorsOf(c)) {
      const left = this.holders.get(t)! - 1;
      if (left > 0) this.holders.set(t, left);
      else {
        this.holders.delete(t);
        this.free(t);
      }
    }
  }

  /** Whether the next kernel that reads `c` may write its result over it: one entry holds it, and nobody else will read it. */
  isDonatable(c: Cotangent): c is Tensor {
    return c instanceof Tensor && this.holders.get(c) === 1 && this.mayFree(c) && !isRecording();
  }

  /** Whether neither the caller, nor an outer tape, nor a `keep` of the user still needs the values of `t`. */
  mayFree(t: Tensor): boolean {
    return !this.keepAlive.has(t) && !isSavedForBackward(t) && !isPinned(t);
  }

  /** Frees a tensor that this backward pass has read for the last time. */
  free(t: Tensor): void {
    if (this.mayFree(t)) release(t);
  }
}
