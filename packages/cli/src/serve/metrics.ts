/** @file Figures of the server for Prometheus. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Scheduler } from './scheduler.ts';

/** Seconds that bound the classes of the histograms. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** All figures of one server. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests: Counter<'path' | 'status'>;
  readonly promptBytes: Counter;
  readonly cancelled: Counter;
  readonly firstByte: Histogram;
  readonly duration: Histogram;

  constructor(scheduler: Scheduler) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const counter = <L extends string = string>(name: string, help: string, labelNames: L[] = []) =>
      new Counter<L>({ name: `blt_${name}`, help, labelNames, registers });
    const histogram = (name: string, help: string) =>
      new Histogram({ name: `blt_${name}`, help, buckets: SECONDS, registers });
    const liveCounter = (name: string, help: string, read: () => number) =>
      new Counter({
        name: `blt_${name}`,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    const liveGauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `blt_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    this.requests = counter('requests_total', 'Requests answered', ['path', 'status']);
    this.promptBytes = counter('prompt_bytes_total', 'Bytes of prompts');
    this.cancelled = counter('cancelled_total', 'Completions whose client went away before the end');
    this.firstByte = histogram('first_byte_seconds', 'Seconds from a request for completions to its first byte');
    this.duration = histogram('request_seconds', 'Seconds from a request for completions to its end');
    liveCounter('generated_bytes_total', 'Bytes made', () => scheduler.bytes);
    liveCounter('rounds_total', 'Passes of the model over all texts being made', () => scheduler.rounds);
    liveGauge('active_texts', 'Texts being made', () => scheduler.load.active);
    liveGauge('waiting_texts', 'Texts that wait for a place', () => scheduler.load.waiting);
  }
}
