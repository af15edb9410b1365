/** @file The files of a run that grow while it is trained: metrics.jsonl, samples.jsonl, and with --tensorboard an event file. */
import { join } from 'node:path';
import type { StepReport } from '@blt-ts/blt';
import { MetricsFile, readMetrics } from '../run/metrics-file.ts';
import type { MetricsRecord } from '../run/metrics-records.ts';
import { type Sample, SamplesFile } from '../run/samples-file.ts';
import { EventFile } from '../run/tensorboard.ts';

/** The growing files of one run. `open` them before the first step. */
export class Journal {
  private readonly path: string;
  private readonly tensorboard: boolean;
  private readonly started = performance.now();
  private secondsBefore = 0;
  private metrics: MetricsFile | undefined;
  private events: EventFile | null = null;
  private sampled: SamplesFile | undefined;

  /** @param path folder of the run */
  constructor(path: string, tensorboard: boolean) {
    this.path = path;
    this.tensorboard = tensorboard;
  }

  /** The lines of an earlier start. */
  past(): MetricsRecord[] {
    return readMetrics(join(this.path, 'metrics.jsonl'));
  }

  /** Counts the seconds of an earlier start too. */
  goOn(): void {
    this.secondsBefore = this.past().at(-1)?.seconds ?? 0;
  }

  /** Opens the files, without the lines of steps that are to be done again. @param evaluatedAt step of the last evaluation */
  open(step: number, evaluatedAt: number): void {
    this.metrics = new MetricsFile(join(this.path, 'metrics.jsonl'), {
      resumeStep: step,
      resumeEvaluated: evaluatedAt === step,
    });
    if (this.tensorboard) this.events = new EventFile(this.path, step);
    this.sampled = new SamplesFile(join(this.path, 'samples.jsonl'), step);
  }

  /** Seconds of training, those of earlier starts included. */
  get seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }

  get samples(): readonly Sample[] {
    return this.sampled!.samples;
  }

  step(report: StepReport, bytes: number, patchSizeMean: number | null, bytesPerSecond: number): MetricsRecord {
    const figures = {
      step: report.step,
      bytes,
      targets: report.targets,
      lossNats: report.lossNats,
      bitsPerByte: report.bitsPerByte,
      patchSizeMean,
      bytesPerSecond: Math.round(bytesPerSecond),
      gradNorm: report.gradNorm,
      learningRate: report.lr,
      seconds: Number(this.seconds.toFixed(1)),
    };
    this.metrics!.append(figures);
    this.events?.scalars(report.step, {
      'training/loss_nats': report.lossNats,
      'training/bits_per_byte': report.bitsPerByte,
      'training/gradient_norm': report.gradNorm,
      'training/learning_rate': report.lr,
      'speed/bytes_per_second': bytesPerSecond,
    });
    return figures;
  }

  evaluation(step: number, bytes: number, heldOutBitsPerByte: number): void {
    this.metrics!.append({ step, bytes, heldOutBitsPerByte, seconds: Number(this.seconds.toFixed(1)) });
    this.events?.scalars(step, { 'held_out/bits_per_byte': heldOutBitsPerByte });
  }

  sample(sample: Sample): void {
    this.sampled!.add(sample);
  }

  /** Puts on disk what has been written: called before the save that relies on it. */
  sync(): void {
    this.metrics!.sync();
  }

  close(): void {
    this.metrics?.close();
    this.events?.close();
  }
}
