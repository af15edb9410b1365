/** @file Chapter 7: a nano model trained on the text, with its loss as it falls, and its checkpoint to take home. */

import { lineChart, type Point } from '../../report/line-chart.ts';
import { printable } from '../../terminal/byte-labels.ts';
import { humanBytes, humanCount, humanDuration } from '../../terminal/human-units.ts';
import type { CheckpointFiles, KernelUse, TrainingFacts, WorkerEvent } from '../messages.ts';
import { button, byId, input, numberIn, Sentence, select } from './dom.ts';
import type { WorkerClient } from './worker-client.ts';

type State = 'idle' | 'running' | 'stopping' | 'paused' | 'done' | 'lost';

/** The changes that a screen reader is told of. The line of figures below the form changes far too often for that. */
const NEWS: Partial<Record<State, string>> = {
  running: 'Training has begun.',
  paused: 'Training has stopped.',
  done: 'Training is done.',
  lost: 'The worker that trains is gone.',
};

export interface TrainingListener {
  /** A newer checkpoint of the model in training. */
  onCheckpoint(files: CheckpointFiles, entropyModel: Uint8Array | null, step: number): void;
  onSpeed(bytesPerSecond: number, kernels: KernelUse | null): void;
}

export class TrainingPanel {
  private readonly worker: WorkerClient;
  private readonly text: () => Uint8Array;
  private readonly listener: TrainingListener;
  private readonly sentence = new Sentence('train-error');
  private state: State = 'idle';
  private facts: TrainingFacts | null = null;
  private train: Point[] = [];
  private heldOut: Point[] = [];
  private entropyCurve: Point[] = [];
  private best: { step: number; bitsPerByte: number } | null = null;
  private lastStep: Extract<WorkerEvent, { kind: 'step' }> | null = null;
  private urls: string[] = [];
  /** Settles when the run under way has ended. */
  private ended: Promise<void> = Promise.resolve();
  private goOn: Promise<void> | null = null;

  constructor(worker: WorkerClient, text: () => Uint8Array, listener: TrainingListener) {
    this.worker = worker;
    this.text = text;
    this.listener = listener;
    byId('train-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.start();
    });
    button('train-pause').addEventListener('click', () => this.pause());
    button('train-continue').addEventListener('click', () => {
      this.sentence.clear();
      this.run();
    });
    select('train-mode').addEventListener('change', () => {
      input('train-patch').disabled = ['space', 'byte'].includes(select('train-mode').value);
      if (select('train-mode').value === 'static') input('train-patch').value = '4';
    });
  }

  get running(): boolean {
    return this.state === 'running' || this.state === 'stopping';
  }

  lost(reason: string): void {
    if (!this.running && this.state !== 'paused') return;
    this.enter('lost');
    this.sayLost(reason);
  }

  private sayLost(reason: string): void {
    const kept = this.urls.length > 0 ? ' The last checkpoint is kept: download it below.' : '';
    this.sentence.say(`The worker that trains has stopped: ${reason}.${kept}`, {
      label: 'Train again',
      run: () => this.start(),
    });
  }

  /** The worker is about to move to another backend: training stops and, if it ran, goes on after `resume`. */
  suspend(): void {
    this.goOn = this.state === 'running' ? this.ended : null;
  }

  async resume(): Promise<void> {
    const { goOn } = this;
    await goOn;
    // Whoever presses Stop meanwhile means it.
    if (!goOn || goOn !== this.goOn) return;
    this.goOn = null;
    if (this.state === 'paused') await this.run();
  }

  private async start(): Promise<void> {
    this.sentence.clear();
    this.goOn = null;
    const before = this.state;
    for (const id of ['train-start', 'train-continue']) button(id).disabled = true;
    try {
      this.facts = await this.prepare();
    } catch (error) {
      // A loss that changed the state was told.
      if (this.state !== before) return;
      // The worker still has the run that it had.
      this.enter(before);
      if ((error as Error).name === 'LostWorkerError') this.sayLost((error as Error).message);
      else this.sentence.say(error);
      return;
    }
    this.train = [];
    this.heldOut = [];
    this.entropyCurve = [];
    this.best = null;
    this.lastStep = null;
    byId('samples').replaceChildren();
    await this.run();
  }

  private prepare(): Promise<TrainingFacts> {
    return this.worker.call('prepare', {
      bytes: this.text(),
      steps: numberIn(input('train-steps')),
      patchingMode: select('train-mode').value as 'entropy',
      patchSize: numberIn(input('train-patch')) ?? 4.5,
      lr: numberIn(input('train-lr')),
      seed: numberIn(input('train-seed')) ?? 0,
    });
  }

  private run(): Promise<void> {
    this.enter('running');
    this.ended = this.worker.call('advance').then(
      (state) => this.enter(state),
      (error) => this.failed(error),
    );
    return this.ended;
  }

  private failed(error: unknown): void {
    if ((error as Error).name === 'LostWorkerError') return;
    this.enter('idle');
    this.sentence.say(error);
  }

  private pause(): void {
    this.goOn = null;
    this.enter('stopping');
    this.worker.call('pause').catch(() => {});
  }

  hear(event: WorkerEvent): void {
    switch (event.kind) {
      case 'step':
        this.lastStep = event;
        if (event.bitsPerByte !== null) {
          if (event.phase === 'model') this.train.push({ x: event.bytesSeen, y: event.bitsPerByte });
          else this.entropyCurve.push({ x: event.step, y: event.bitsPerByte });
        }
        this.listener.onSpeed(event.bytesPerSecond, event.kernels);
        break;
      case 'evaluation':
        this.heldOut.push({ x: event.bytesSeen, y: event.bitsPerByte });
        if (!this.best || event.bitsPerByte < this.best.bitsPerByte) this.best = event;
        break;
      case 'sample':
        this.addSample(event);
        return;
      case 'checkpoint':
        this.keep(event);
        return;
      default:
        return;
    }
    this.draw();
  }

  private enter(state: State): void {
    if (state !== this.state && NEWS[state]) byId('train-news').textContent = NEWS[state];
    this.state = state;
    button('train-start').textContent = this.facts && state !== 'idle' ? 'Train anew' : 'Train';
    button('train-start').disabled = this.running;
    button('train-pause').disabled = state !== 'running';
    button('train-continue').disabled = state !== 'paused';
    this.draw();
  }

  private draw(): void {
    const { facts, lastStep } = this;
    if (!facts) return;
    const inModel = lastStep?.phase === 'model';
    const done = inModel ? facts.entropySteps + lastStep.step : (lastStep?.step ?? 0);
    const status = byId('train-status');
    if (inModel) status.dataset.bytesPerSecond = String(lastStep.bytesPerSecond);
    const progress = byId<HTMLProgressElement>('train-progress');
    progress.hidden = !this.running;
    progress.value = this.state === 'done' ? 1 : done / (facts.entropySteps + facts.steps);
    status.textContent = this.status();
    const place = byId('train-chart');
    if (this.train.length === 0 && this.entropyCurve.length === 0) {
      place.replaceChildren();
      return;
    }
    // Own data only, every label escaped by lineChart.
    place.innerHTML =
      this.train.length === 0
        ? lineChart({
            series: [
              { name: 'entropy model, training', points: this.entropyCurve, color: '--train', strokeWidth: 1.5 },
            ],
            references: [],
            xLabel: 'steps',
            yLabel: 'bits per byte',
            formatX: (x) => String(x),
          })
        : lineChart({
            series: [
              { name: 'training', points: this.train, color: '--train', strokeWidth: 1.25 },
              { name: 'held out', points: this.heldOut, color: '--held', strokeWidth: 2.5 },
            ],
            references: [],
            xLabel: 'training bytes seen',
            yLabel: 'bits per byte',
            formatX: (x) => (x === 0 ? '0' : humanBytes(x)),
          });
  }

  private status(): string {
    const { facts, lastStep, best, state } = this;
    if (!facts) return '';
    const parts: string[] = [];
    if (state === 'paused') parts.push('stopped');
    else if (state === 'stopping') parts.push('stopping after this step');
    else if (state === 'done') parts.push('done');
    else if (state === 'lost') parts.push('the worker is gone');
    else if (!lastStep && this.running)
      parts.push(`${humanCount(facts.parameters)} parameters, the first step is under way`);
    if (lastStep) {
      const total = lastStep.phase === 'model' ? facts.steps : facts.entropySteps;
      parts.push(`${lastStep.phase} step ${lastStep.step} of ${total}`);
      if (lastStep.bitsPerByte !== null) parts.push(`${lastStep.bitsPerByte.toFixed(2)} bits per byte in training`);
    }
    if (best) parts.push(`${best.bitsPerByte.toFixed(3)} held out at best`);
    if (lastStep && this.running) {
      parts.push(`${humanBytes(lastStep.bytesPerSecond)}/s`);
      if (lastStep.phase === 'model') {
        const perStep = lastStep.bytesSeen / lastStep.step;
        parts.push(`${humanDuration(((facts.steps - lastStep.step) * perStep) / lastStep.bytesPerSecond)} to go`);
      }
    }
    const sentence = parts.join(' · ');
    return sentence.charAt(0).toUpperCase() + sentence.slice(1);
  }

  private addSample({ step, prompt, bytes }: Extract<WorkerEvent, { kind: 'sample' }>): void {
    const figure = document.createElement('figure');
    figure.className = 'sample';
    const caption = document.createElement('figcaption');
    caption.textContent = `Sample after step ${step}`;
    const text = document.createElement('pre');
    const start = document.createElement('span');
    start.className = 'prompt';
    start.textContent = printable(prompt);
    text.append(start, printable(bytes));
    figure.append(caption, text);
    const place = byId('samples');
    place.prepend(figure);
    while (place.childElementCount > 3) place.lastElementChild!.remove();
  }

  /** The newest checkpoint stays with the page, whatever happens to the worker. */
  private keep({ step, config, weights, entropyModel }: Extract<WorkerEvent, { kind: 'checkpoint' }>): void {
    for (const url of this.urls) URL.revokeObjectURL(url);
    const files = {
      config: new Blob([config], { type: 'application/json' }),
      weights: new Blob([weights], { type: 'application/octet-stream' }),
    };
    this.urls = [URL.createObjectURL(files.config), URL.createObjectURL(files.weights)];
    byId<HTMLAnchorElement>('download-config').href = this.urls[0];
    byId<HTMLAnchorElement>('download-weights').href = this.urls[1];
    byId('download-facts').textContent =
      `step ${step}, ${humanBytes(weights.length)}; put both into one folder for blt generate --model`;
    byId('train-downloads').hidden = false;
    this.listener.onCheckpoint(files, entropyModel, step);
  }
}
