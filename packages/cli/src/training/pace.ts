/** @file Bytes per second of training, as a running mean that leaves out everything between two steps. */

/** Share of the former mean that is kept at each step. */
const KEPT = 0.9;

/** Measures the speed of training steps. */
export class Pace {
  private at = performance.now();
  /** 0 before the first step. */
  perSecond = 0;

  /** A step has ended. @returns the seconds that it took */
  step(bytes: number): number {
    const now = performance.now();
    const seconds = (now - this.at) / 1000;
    const present = bytes / seconds;
    this.perSecond = this.perSecond === 0 ? present : KEPT * this.perSecond + (1 - KEPT) * present;
    this.at = now;
    return seconds;
  }

  /** The time since the last step was no part of a step, as after a save. */
  skip(): void {
    this.at = performance.now();
  }

  /** Another kind of work begins. */
  reset(): void {
    this.at = performance.now();
    this.perSecond = 0;
  }
}
