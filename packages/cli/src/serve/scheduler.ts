/** @file Which texts are made when, and where: a queue before the lanes. */
import type { Job, Lane } from './lane.ts';

/** Gives texts to lanes: as many as these have places, the others wait in the order in which they came. */
export class Scheduler {
  private readonly lanes: readonly Lane[];
  private readonly mostWaiting: number;
  private readonly waiting = new Set<Job>();
  private readonly laneOf = new WeakMap<Job, Lane>();

  constructor(lanes: readonly Lane[], mostWaiting: number) {
    this.lanes = lanes;
    this.mostWaiting = mostWaiting;
    for (const lane of lanes) lane.onFree = () => this.admit();
  }

  /** Texts being made, and texts that wait. */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.sum(({ size }) => size), waiting: this.waiting.size };
  }

  /** Rounds of all lanes so far. */
  get rounds(): number {
    return this.sum(({ rounds }) => rounds);
  }

  /** Bytes made so far. */
  get bytes(): number {
    return this.sum(({ bytes }) => bytes);
  }

  /** Whether so many more texts may come now. */
  accepts(texts: number): boolean {
    const { active, waiting } = this.load;
    return waiting + texts <= this.mostWaiting + this.places - active;
  }

  /** Wants a text. */
  submit(job: Job): void {
    this.waiting.add(job);
    this.admit();
  }

  /** The text is wanted no more. Its place is free for the next round. */
  cancel(job: Job): void {
    if (!this.waiting.delete(job)) this.laneOf.get(job)?.cancel(job);
  }

  private get places(): number {
    return this.sum(({ places }) => places);
  }

  private sum(of: (lane: Lane) => number): number {
    return this.lanes.reduce((total, lane) => total + of(lane), 0);
  }

  private admit(): void {
    for (const job of this.waiting) {
      const lane = this.emptiest();
      if (!lane && this.places > 0) return;
      this.waiting.delete(job);
      if (!lane) {
        job.onError(new Error('every thread that makes texts has ended; start the server again'));
        continue;
      }
      this.laneOf.set(job, lane);
      lane.begin(job);
    }
  }

  /** The lane with the fewest texts that has a place free. */
  private emptiest(): Lane | null {
    let best: Lane | null = null;
    for (const lane of this.lanes) {
      if (lane.size < lane.places && (best === null || lane.size < best.size)) best = lane;
    }
    return best;
  }
}
